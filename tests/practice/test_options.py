from __future__ import annotations

from typing import Any

import pytest

from o2o.practice.faults import Fault
from o2o.practice.options import check


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"num_ctx": "1"}, 'option "num_ctx" must be of type integer'),
        ({"num_ctx": True}, 'option "num_ctx" must be of type integer'),
        ({"top_p": "x"}, 'option "top_p" must be of type float32'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
    ],
)
def test_options_of_a_wrong_type_are_a_500(option: dict[str, Any], text: str) -> None:
    with pytest.raises(Fault) as caught:
        check(option)
    assert (caught.value.status, caught.value.text) == (500, text)


def test_other_options_pass() -> None:
    check({"num_ctx": 1.5, "top_p": 1, "stop": ["a"], "use_mmap": False, "seed": None, "mirostat": "x"})
