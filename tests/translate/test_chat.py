"""Chat turns: the table, stream and whole, and what no table can say."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import O2OError, Refused
from o2o.translate.chat import completion, head
from o2o.translate.policy import Policy
from o2o.translate.turn import Stamp
from o2o.translate.usage import total
from tests.cases import Case, played, reply
from tests.driving import Cut, at_once, chat_turns, play, singly
from tests.table import check_asked, check_choices, check_error

STAMP = Stamp("chatcmpl-1", 1_700_000_000, "m", "fp_0123456789")


@pytest.mark.parametrize("cut", [singly, at_once])
@pytest.mark.parametrize(("case", "whole"), played("chat"))
def test_case(case: Case, whole: bool, cut: Cut) -> None:
    done = play(case, whole=whole, cut=cut)
    check_asked(case, done.asked, whole=whole)
    check_error(case, done.error, whole=whole)
    if done.error is not None:
        if not whole:
            check_choices(case, done.choices)
        return
    if whole:
        made = completion(STAMP, done.choices, total([turn.usage for turn in done.turns]))
        assert {"choices": made["choices"], "usage": made["usage"]} == case.completion()
    else:
        assert done.choices == case.choices()
    warnings = case.get("headers", {}).get("x-o2o-warning", "")
    assert ", ".join(dict.fromkeys(done.warnings)) == warnings


BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TWICE: dict[str, Any] = {**BODY, "messages": [*BODY["messages"], {"role": "user", "content": "there"}]}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
OVERFLOW = "request (5024 tokens) exceeds the available context size (4096 tokens), try increasing it"
CUT_CALL = 'llama-server returned invalid tool call arguments for "f": unexpected end of JSON input'


@pytest.mark.parametrize(
    ("body", "refused", "code"),
    [
        (TWICE, Refused(500, OVERFLOW, midway=True), "context_length_exceeded"),
        (TWICE, Refused(400, "something else"), None),
        ({**BODY, "max_tokens": 5}, Refused(500, CUT_CALL), "upstream_error"),
        (
            {**BODY, "max_tokens": 5, "tools": TOOLS},
            Refused(500, "error parsing tool call"),
            "tool_call_parse_error",
        ),
        ({**BODY, "tools": TOOLS}, Refused(500, CUT_CALL), "tool_call_parse_error"),
        ({**BODY, "max_tokens": -1, "tools": TOOLS}, Refused(500, CUT_CALL), "tool_call_parse_error"),
    ],
)
def test_only_what_may_be_mended_is_asked_again_and_only_a_cut_call_is_no_failure(
    body: dict[str, Any], refused: Refused, code: str | None
) -> None:
    [turn] = chat_turns(body, Policy())
    with pytest.raises(O2OError) as raised:
        turn.refused(refused)
    assert raised.value.code == code
    assert turn.ask is None


def test_roles_are_not_merged_for_an_operator_who_wants_to_hear_what_the_template_says() -> None:
    [turn] = chat_turns(TWICE, Policy(merge_roles="never"), merged=True)
    assert turn.ask is not None
    assert turn.ask.payload["messages"] == TWICE["messages"]


def test_the_last_reply_needs_no_message() -> None:
    [turn] = chat_turns(BODY, Policy())
    choices = turn.feed([{"done": True, "done_reason": "stop", "eval_count": 3}]) + turn.close()
    assert choices[-1]["finish_reason"] == "stop"
    assert turn.usage.completion_tokens == 3


@pytest.mark.parametrize(("harmless", "shown"), [({}, True), ({"include_reasoning": False}, False)])
def test_plain_text_after_thinking_is_said_as_it_comes(harmless: dict[str, Any], shown: bool) -> None:
    [turn] = chat_turns({**BODY, **harmless}, Policy())
    choices = turn.feed([reply("chat", one) for one in ({"thinking": "Hm."}, "a", "b")])
    assert [choice["delta"].get("content") for choice in choices][-2:] == ["a", "b"]
    assert any("reasoning" in choice["delta"] for choice in choices) == shown


def test_a_chunk_and_a_completion_carry_the_same_stamp() -> None:
    stamped = {
        "id": "chatcmpl-1",
        "created": 1_700_000_000,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    assert head(STAMP) == {**stamped, "object": "chat.completion.chunk"}
    assert completion(STAMP, [], {"total_tokens": 0}) == {
        **stamped,
        "object": "chat.completion",
        "choices": [],
        "usage": {"total_tokens": 0},
    }
