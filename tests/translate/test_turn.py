"""What all turns have in common."""

from __future__ import annotations

import pytest

from o2o.errors import UpstreamInvalid
from o2o.translate.turn import texts


def test_a_part_of_a_reply_has_a_text_and_thinking_or_neither() -> None:
    assert texts({"content": "a", "thinking": "b"}, "content") == ("a", "b")
    assert texts({}, "content") == (None, None)


@pytest.mark.parametrize("part", ["a", ["a"], {"content": 1}, {"content": ["a"]}, {"thinking": True}])
def test_anything_else_is_not_ollamas(part: object) -> None:
    with pytest.raises(UpstreamInvalid):
        texts(part, "content")
