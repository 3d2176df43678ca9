"""How an answer is said, and how what was said folds into one."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.translate.speaker import Speaker, fold
from o2o.translate.tools import Call
from tests.driving import numbered

OPENING = {"role": "assistant", "content": "", "refusal": None}
F = Call("f", {"x": 1})


def speaker(mode: str = "both", *, index: int = 0, legacy: bool = False) -> Speaker:
    return Speaker(index, mode=mode, new_id=numbered(), legacy=legacy)


def deltas(said: Speaker) -> list[dict[str, Any]]:
    return [choice["delta"] for choice in said.take()]


def test_the_role_is_said_once_and_first() -> None:
    said = speaker(index=3)
    said.start()
    said.start()
    said.content("a")
    said.reasoning("b")
    said.finish("stop")
    choices = said.take()
    assert [choice["delta"] for choice in choices] == [
        OPENING,
        {"content": "a"},
        {"reasoning_content": "b", "reasoning": "b"},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    assert {choice["index"] for choice in choices} == {3}
    assert said.take() == []


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("both", [{"reasoning_content": "b", "reasoning": "b"}]),
        ("reasoning", [{"reasoning": "b"}]),
        ("reasoning_content", [{"reasoning_content": "b"}]),
        ("hide", []),
        ("tags", [{"content": "<think>b"}]),
    ],
)
def test_reasoning_is_shown_as_the_operator_wants(mode: str, shown: list[dict[str, Any]]) -> None:
    said = speaker(mode)
    said.reasoning("b")
    assert deltas(said) == [OPENING, *shown]
    assert said.thought
    assert not said.said


@pytest.mark.parametrize("what", ["content", "call", "finish"])
def test_a_tag_is_closed_by_whatever_follows(what: str) -> None:
    said = speaker("tags")
    said.reasoning("a")
    said.reasoning("b")
    {
        "content": lambda: said.content("c"),
        "call": lambda: said.call(F),
        "finish": lambda: said.finish("stop"),
    }[what]()
    told = "".join(delta.get("content") or "" for delta in deltas(said))
    assert told == "<think>ab</think>\n\n" + ("c" if what == "content" else "")
    said.content("d")
    assert deltas(said) == [{"content": "d"}] or what == "finish"


def test_a_call_is_said_in_two_fragments_and_calls_are_numbered() -> None:
    said = speaker()
    said.call(F)
    said.call(Call("run", {"input": "1"}, "custom"))
    assert said.calls == 2
    assert deltas(said) == [
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":1}'}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "run", "input": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "custom": {"input": "1"}}]},
    ]


def test_log_probabilities_go_with_their_text() -> None:
    said = speaker()
    said.content("a", [{"token": "a"}])
    said.content("b", [])
    assert [choice["logprobs"] for choice in said.take()] == [
        None,
        {"content": [{"token": "a"}], "refusal": None},
        {"content": [], "refusal": None},
    ]


def test_pieces_are_what_content_is() -> None:
    one, other = speaker(), speaker()
    for said in (one, other):
        assert not said.open
        said.start()
        assert said.open
    one.pieces(["a", "b"])
    one.pieces([])
    other.content("a")
    other.content("b")
    assert one.said
    assert one.take() == other.take()
    tagged = speaker("tags")
    tagged.reasoning("a")
    assert not tagged.open
    tagged.pieces([])
    assert not tagged.said


# --- folding


def test_what_was_said_folds_into_a_whole_message() -> None:
    said = speaker(index=1)
    said.reasoning("Hm")
    said.reasoning("m.")
    said.content("a", [{"token": "a"}])
    said.call(F)
    said.content("b", [{"token": "b"}])
    said.finish("tool_calls")
    assert fold(said.take()) == [
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "ab",
                "refusal": None,
                "reasoning_content": "Hmm.",
                "reasoning": "Hmm.",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
                ],
            },
            "logprobs": {"content": [{"token": "a"}, {"token": "b"}], "refusal": None},
            "finish_reason": "tool_calls",
        }
    ]


def test_choices_fold_each_on_its_own_and_in_order() -> None:
    one, two = speaker(index=0), speaker(index=1)
    two.content("b")
    one.content("a")
    one.finish("stop")
    two.finish("length")
    folded = fold([*two.take(), *one.take()])
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in folded] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]


@pytest.mark.parametrize("legacy", [False, True])
def test_content_is_null_where_there_are_only_calls(legacy: bool) -> None:
    said = speaker(legacy=legacy)
    said.start()
    said.call(F)
    [choice] = fold(said.take())
    assert choice["message"]["content"] is None
    if legacy:
        assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}


def test_content_is_empty_where_there_is_nothing() -> None:
    said = speaker()
    said.finish("stop")
    [choice] = fold(said.take())
    assert choice["message"] == OPENING
