from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from o2o.practice import tokens
from o2o.practice.faults import Fault


@given(st.text())
def test_pieces_join_to_the_text(text: str) -> None:
    pieces = tokens.pieces(text)
    assert "".join(pieces) == text
    assert all(pieces)
    assert tokens.count(text) == len(pieces)


def test_words_are_about_tokens() -> None:
    assert tokens.pieces("Hello, you_there  now 🥐") == ["Hello", ",", " you", "_", "there", "  now", " 🥐"]
    assert tokens.count("incomprehensibilities") == 2


def turn(role: str, words: int) -> dict[str, str]:
    return {"role": role, "content": "word " * words}


def test_the_oldest_messages_go_first_but_not_system_and_the_last() -> None:
    messages = [turn("system", 10), turn("user", 200), turn("assistant", 200), turn("user", 20)]
    prompt = tokens.fit_messages(messages, (), 300, truncate=True, shift=True)
    assert prompt.text.count("word") == 230
    assert prompt.text.startswith("<|system|>")
    assert prompt.tokens == tokens.count(prompt.text) <= 300


def test_tools_are_part_of_the_prompt() -> None:
    tool = [{"function": {"name": "get_weather"}}]
    prompt = tokens.fit_messages([turn("user", 1)], tool, 300, truncate=True, shift=True)
    assert "get_weather" in prompt.text


def test_one_message_that_is_too_long_is_cut_to_half_the_window() -> None:
    prompt = tokens.fit_text("word " * 791, 512, truncate=True, shift=True)
    assert prompt.tokens == 259


@pytest.mark.parametrize("window", [4, 5, 17])
def test_tiny_windows_leave_something(window: int) -> None:
    prompt = tokens.fit_text("word " * 100, window, truncate=True, shift=True)
    assert 0 < prompt.tokens <= window


def test_what_fits_stays_as_it_is() -> None:
    assert tokens.fit_text("a b c", 3, truncate=False, shift=False) == tokens.Prompt("a b c", 3)


def test_without_truncation_both_numbers_are_told() -> None:
    with pytest.raises(Fault, match=r"4 tokens.*3 tokens") as caught:
        tokens.fit_text("a b c d", 3, truncate=False, shift=True)
    assert caught.value.late


def test_without_shift_nothing_is_cut() -> None:
    with pytest.raises(Fault, match="the prompt is longer than the context length"):
        tokens.fit_text("a b c d", 3, truncate=True, shift=False)
