from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.ollama_options import GONE, OPTIONS, RUNNER, check_option, seed


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("temperature", 0, 0),
        ("temperature", 0.7, 0.7),
        ("num_ctx", 8192, 8192),
        ("num_ctx", 8192.0, 8192),
        ("num_gpu", -1, -1),
        ("num_gpu", 0, 0),
        ("num_thread", 0, 0),
        ("use_mmap", False, False),
        ("stop", "END", ["END"]),
        ("stop", ["a", "b"], ["a", "b"]),
        ("num_predict", 5, 5),
        ("num_predict", -2, -1),
        ("num_predict", 10**20, 2**31 - 1),
        ("seed", -1, -1),
        ("seed", 0, 0),
        ("seed", 2**31, 0),
        ("seed", 2**32 - 1, 2**31 - 1),
        ("top_k", -5, -5),
    ],
)
def test_a_good_value_travels_as_ollama_takes_it(name: str, value: Any, sent: Any) -> None:
    checked = check_option(name, value, name)
    assert checked == sent
    assert type(checked) is type(sent)


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("temperature", "hot", "invalid_type", "expected a number, but got a string instead"),
        ("temperature", True, "invalid_type", "but got a boolean instead"),
        ("temperature", 1e39, "decimal_above_max_value", "out of range"),
        ("temperature", -(10**400), "decimal_below_min_value", "out of range"),
        ("num_ctx", 4096.5, "invalid_type", "expected an integer, but got a decimal instead"),
        ("num_ctx", True, "invalid_type", "expected an integer"),
        ("num_ctx", 0, "integer_below_min_value", "Expected a value >= 1, but got 0 instead"),
        ("num_ctx", -1, "integer_below_min_value", "Expected a value >= 1"),
        ("num_ctx", 2**31, "integer_above_max_value", "out of range"),
        ("top_k", -(2**31), "integer_below_min_value", "out of range"),
        ("num_thread", -1, "integer_below_min_value", "Expected a value >= 0"),
        ("num_predict", 0, "integer_below_min_value", "Expected a value >= 1"),
        ("use_mmap", 1, "invalid_type", "expected a boolean, but got an integer instead"),
        ("stop", 5, "invalid_type", "expected a string or an array of strings"),
        ("stop", ["a", 5], "invalid_type", "but got an array instead"),
        ("stop", {}, "invalid_type", "but got an object instead"),
        ("seed", None, "invalid_type", "but got null instead"),
        ("seed", b"", "invalid_type", "but got something else instead"),
    ],
)
def test_a_bad_value_is_refused_where_it_stands(name: str, value: Any, code: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        check_option(name, value, f"options.{name}")
    assert (caught.value.code, caught.value.param) == (code, f"options.{name}")


def test_a_seed_never_means_random() -> None:
    for number in (-1, 2**32 - 1, 2**63, 7):
        assert 0 <= seed(number) < 2**31


def test_the_lists_of_options_fit_together() -> None:
    assert set(OPTIONS) > RUNNER
    assert not GONE & set(OPTIONS)
