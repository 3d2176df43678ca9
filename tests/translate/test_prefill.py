"""Taking the caller's own beginning away."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from o2o.translate.prefill import Prefill


def answer(prefill: str, *pieces: str) -> str:
    taken = Prefill(prefill)
    return "".join(taken.feed(piece) for piece in pieces) + taken.close()


@pytest.mark.parametrize(
    ("pieces", "new"),
    [
        (["The quick brown"], " brown"),
        (["The", " quick", " brown"], " brown"),
        (["The quick", " brown"], " brown"),
        (["The quick"], ""),
        (["A", " fox"], "A fox"),
        (["The", " end"], "The end"),
        (["The"], "The"),
        (["The quick", "The quick"], "The quick"),
    ],
)
def test_only_a_repetition_is_taken_away(pieces: list[str], new: str) -> None:
    assert answer("The quick", *pieces) == new


def test_what_cannot_be_a_repetition_any_more_goes_through_at_once() -> None:
    taken = Prefill("The quick")
    assert taken.feed("The") == ""
    assert taken.feed(" end") == "The end"
    assert taken.feed("The quick") == "The quick"


@given(st.text(alphabet="ab", max_size=5), st.text(alphabet="ab", max_size=8), st.integers(0, 8))
def test_it_does_not_matter_where_an_answer_is_cut(prefill: str, text: str, place: int) -> None:
    whole = text.removeprefix(prefill) if text.startswith(prefill) else text
    assert answer(prefill, text[:place], text[place:]) == whole
