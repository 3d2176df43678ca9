from __future__ import annotations

from typing import Any

import pytest

from o2o.practice import tokens
from o2o.practice.answers import Piece
from o2o.practice.generation import Generated, Speech, limited, logprob

CALL = {"name": "f", "arguments": {}}


def content(text: str) -> list[Piece]:
    return [Piece("content", piece) for piece in tokens.pieces(text)]


def speech(pieces: list[Piece], **more: Any) -> Speech:
    given: dict[str, Any] = {"model": "m", "shape": "chat", "prompt_tokens": 7, "load_ns": 5, "top": None}
    return Speech(generated=limited(pieces, None, ()), **{**given, **more})


def text(generated: Generated) -> str:
    return "".join(piece.text for piece in generated.pieces)


def test_an_answer_ends_by_itself_with_one_more_token() -> None:
    generated = limited(content("one two"), None, ())
    assert (text(generated), generated.reason, generated.evaluated) == ("one two", "stop", 3)


@pytest.mark.parametrize(("limit", "reason", "count"), [(1, "length", 1), (2, "length", 2), (3, "stop", 3)])
def test_a_limit_counts_tokens(limit: int, reason: str, count: int) -> None:
    generated = limited(content("one two"), limit, ())
    assert (generated.reason, generated.evaluated) == (reason, count)


def test_the_first_stop_string_ends_the_answer_and_keeps_the_space_before_it() -> None:
    generated = limited(content("one two three four"), None, ["four", "three", ""])
    assert (text(generated), generated.reason, generated.evaluated) == ("one two ", "stop", 3)


def test_a_stop_string_may_span_tokens_and_begin_inside_one() -> None:
    assert text(limited(content("alpha beta gamma"), None, ["ta gam"])) == "alpha be"


def test_a_stop_string_behind_the_limit_is_never_seen() -> None:
    assert limited(content("one two three"), 2, ["three"]).reason == "length"


def test_a_stop_string_ends_the_thinking_too() -> None:
    pieces = [Piece("thinking", "I"), Piece("thinking", " stop"), *content("Hello")]
    generated = limited(pieces, None, [" stop"])
    assert [piece.kind for piece in generated.pieces] == ["thinking"]
    assert generated.reason == "stop"


def test_a_call_that_is_cut_vanishes() -> None:
    pieces = [Piece("call", "<tool"), Piece("call", ">"), Piece("call", "</tool>", CALL)]
    cut = speech(pieces[:2])
    assert list(cut.lines(lambda: "now")) == [None, None]
    assert "tool_calls" not in cut.whole("now", 9, 1)["message"]
    assert limited(pieces, 2, ()).reason == "length"


def test_calls_are_numbered_and_told_apart() -> None:
    made = speech([Piece("call", "a", CALL), Piece("call", "b", CALL)])
    lines = [line for line in made.lines(lambda: "now") if line]
    calls = [line["message"]["tool_calls"][0] for line in lines]
    assert [call["function"] for call in calls] == [{"index": 0, **CALL}, {"index": 1, **CALL}]
    assert len({call["id"] for call in calls}) == 2
    assert all(len(call["id"]) == 13 for call in calls)


def test_folding_the_lines_gives_the_whole_answer() -> None:
    pieces = [Piece("thinking", "hm"), *content("one two"), Piece("call", "c", CALL)]
    made = speech(pieces, top=1)
    lines = [line for line in made.lines(lambda: "now") if line]
    whole = made.whole("now", 10, 5)
    assert "".join(line["message"]["content"] for line in lines) == whole["message"]["content"]
    assert "".join(line["message"].get("thinking", "") for line in lines) == whole["message"]["thinking"]
    assert [entry for line in lines for entry in line["logprobs"]] == whole["logprobs"]
    assert [line["message"].get("tool_calls") for line in lines][-1] == whole["message"]["tool_calls"]


def test_while_a_call_is_written_only_logprobs_are_seen() -> None:
    pieces = [Piece("call", "<a>"), Piece("call", "b", CALL)]
    assert next(iter(speech(pieces).lines(lambda: "now"))) is None
    line = next(iter(speech(pieces, top=0).lines(lambda: "now")))
    assert line is not None
    assert line["message"] == {"role": "assistant", "content": ""}
    assert line["logprobs"][0]["token"] == "<a>"


def test_a_second_run_moves_the_thinking_into_the_prompt() -> None:
    pieces = [Piece("thinking", "hm"), *content("{}")]
    made = speech(pieces, resumed=1)
    lines = list(made.lines(lambda: "now"))
    assert [line and line["message"]["content"] for line in lines] == ["", "", "{", "}"]
    last = made.last("now", 100, 10)
    assert (last["prompt_eval_count"], last["eval_count"]) == (8, 3)


def test_times_are_never_zero_and_add_up() -> None:
    last = speech([]).last("now", 0, 0)
    parts = [last[name] for name in ("load_duration", "prompt_eval_duration", "eval_duration")]
    assert all(part > 0 for part in parts)
    assert last["total_duration"] >= 6


def test_generate_answers_with_a_response_and_a_context() -> None:
    made = speech(content("hi"), shape="generate", context=[1, 2])
    assert made.whole("now", 9, 1)["response"] == "hi"
    assert made.last("now", 9, 1)["context"] == [1, 2]


@pytest.mark.parametrize("top", [0, 1, 5, 20])
def test_logprobs_have_as_many_alternatives_as_asked_for(top: int) -> None:
    entry = logprob(" é", top)
    assert entry["token"] == " é"
    assert entry["bytes"] == [32, 195, 169]
    assert entry["logprob"] < 0
    ranked = entry.get("top_logprobs", [])
    assert len(ranked) == top
    assert len({one["token"] for one in ranked}) == top
    values = [one["logprob"] for one in ranked]
    assert values == sorted(values, reverse=True)
