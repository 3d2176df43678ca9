"""Token arrays become texts where somebody can read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.token_arrays import as_text

LETTERS = dict(enumerate("abc"))


def decode(numbers: Iterable[int]) -> str:
    return "".join(LETTERS[number] for number in numbers)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([0, 1], "ab"),
        ([[0, 1], [2]], ["ab", "c"]),
        ([1.0], "b"),
        ("0 1", "0 1"),
        (["a", "b"], ["a", "b"]),
        ([], []),
        (None, None),
    ],
)
def test_arrays_are_read_and_texts_stay(given: Any, read: Any) -> None:
    assert as_text(given, "input", decode) == read


@pytest.mark.parametrize("given", [[0, 1], [[0], [1]], "x", ["x"]])
def test_without_a_vocabulary_nothing_is_read(given: Any) -> None:
    assert as_text(given, "input", None) is given


@pytest.mark.parametrize(("given", "param"), [([0, 9], "prompt[1]"), ([[0], [1, 0, 10**30]], "prompt[1][2]")])
def test_a_number_that_is_no_token_is_refused_at_its_place(given: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        as_text(given, "prompt", decode)
    assert (caught.value.code, caught.value.param) == ("invalid_value", param)
    assert "cl100k_base" in caught.value.message
