"""The ways to read an answer, where they differ in what no table can say."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import O2OError, Refused, ResponseFormatViolation, ToolCallParseError, UpstreamInvalid
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy
from o2o.translate.speaker import fold
from tests.cases import reply
from tests.driving import chat_turns

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "s", "schema": {"type": "object", "required": ["a"]}},
}
MERGED = Refused(400, "Jinja Exception: roles must alternate")


def replies(*told: str | dict[str, Any]) -> list[dict[str, Any]]:
    return [reply("chat", one) for one in told]


def said(choices: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = fold(choices)[0]["message"]
    return message


# --- answers that break


@pytest.mark.parametrize(
    ("body", "told", "content", "reasoning"),
    [
        ({"tools": TOOLS}, ["A", " <"], "A <", None),
        ({"tools": TOOLS}, ['<tool_call>{"name": "f", '], '<tool_call>{"name": "f", ', None),
        ({"think": False}, [{"thinking": "Hm."}], "", "Hm."),
        (
            {"messages": [*BODY["messages"], {"role": "assistant", "content": "So it"}]},
            ["So"],
            "So",
            None,
        ),
        ({"guided_choice": ["yes"]}, ['"ye'], None, None),
        ({"tools": TOOLS, "tool_choice": "required"}, ['{"name"'], None, None),
        ({"tools": TOOLS, "response_format": FORM}, ["It is"], None, None),
    ],
)
def test_what_had_come_is_said_before_the_failure_unless_it_was_never_to_be_seen_as_it_is(
    body: dict[str, Any], told: list[Any], content: str | None, reasoning: str | None
) -> None:
    [turn] = chat_turns({**BODY, **body}, Policy())
    choices = turn.feed(replies(*told)) + turn.rest()
    assert turn.ask is None
    if content is None:
        assert choices == []
        return
    message = said(choices)
    assert message["content"] == content
    assert message.get("reasoning") == reasoning
    assert [choice["finish_reason"] for choice in choices] == [None] * len(choices)


def test_text_of_the_batch_that_fails_is_not_lost() -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS}, Policy())
    with pytest.raises(ToolCallParseError):
        turn.feed(replies("A", {"calls": [["no_such", {}]]}))
    assert said(turn.rest())["content"] == "A"


def test_an_answer_that_breaks_its_form_at_the_very_end_is_said_before_the_failure() -> None:
    strict = {**FORM, "json_schema": {**FORM["json_schema"], "strict": True}}  # type: ignore[dict-item]  # a dict
    facts = Facts(capabilities=frozenset({"thinking"}))
    [turn] = chat_turns({**BODY, "response_format": strict}, Policy(), facts)
    choices = turn.feed(replies({"thinking": "{}"}, {"done": "stop"}))
    with pytest.raises(ResponseFormatViolation):
        turn.close()
    assert said(choices + turn.rest())["content"] == "{}"


# --- thinking


def test_thinking_counts_as_something_seen_even_where_it_is_hidden() -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS, "include_reasoning": False}, Policy())
    turn.feed(replies({"thinking": "Hm."}, {"done": "stop", "eval": 30}))
    assert turn.close()[-1]["finish_reason"] == "stop"


def test_thinking_counts_as_something_seen_before_a_form_too() -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS, "response_format": FORM}, Policy())
    turn.feed(replies({"thinking": "Hm."}, {"done": "stop", "eval": 30}))
    assert said(turn.close())["reasoning"] == "Hm."
    assert turn.ask is not None
    assert "tools" not in turn.ask.payload


def test_what_parsers_take_for_thinking_fits_its_form_at_once() -> None:
    body = {**BODY, "tools": TOOLS, "response_format": FORM, "think": False}
    [turn] = chat_turns(body, Policy())
    turn.feed(replies({"thinking": '{"a": 1}'}, {"done": "stop"}))
    assert said(turn.close())["content"] == '{"a": 1}'


def test_thinking_without_an_answer_is_no_answer_where_thinking_was_wanted() -> None:
    [turn] = chat_turns({**BODY, "response_format": FORM, "think": True}, Policy(), whole=True)
    turn.feed(replies({"thinking": '{"a": 1}'}, {"done": "stop"}))
    assert turn.close() == []
    assert turn.ask is not None
    turn.feed(replies({"thinking": '{"a": 1}'}, {"done": "stop"}))
    message = said(turn.close())
    assert (message["content"], message["reasoning"]) == ("", '{"a": 1}')
    assert turn.warnings == ["response_format"]


# --- calls


def test_a_leaked_call_stays_text_where_the_operator_wants_that() -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS}, Policy(tool_rescue=False))
    text = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    choices = turn.feed(replies(text, {"done": "stop"})) + turn.close()
    assert said(choices)["content"] == text


@pytest.mark.parametrize("whole", [False, True])
def test_a_call_in_the_second_of_two_steps_is_one(whole: bool) -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS, "response_format": FORM}, Policy(), whole=whole)
    turn.feed(replies("It is 1.", {"done": "stop"}))
    turn.close()
    choices = turn.feed(replies("So:", {"calls": [["f", {}]]}, {"done": "stop"})) + turn.close()
    assert turn.ask is None
    assert said(choices)["content"] == "So:"
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert turn.warnings == []


def test_a_beginning_that_was_not_repeated_may_be_the_beginning_of_a_call() -> None:
    messages = [
        *BODY["messages"],
        {"role": "assistant", "content": '<tool_call>{"name": "f", "arguments": {}}!'},
    ]
    [turn] = chat_turns({**BODY, "messages": messages, "tools": TOOLS}, Policy())
    turn.feed(replies('<tool_call>{"name": "f", "arguments": {}}', {"done": "stop"}))
    assert turn.close()[-1]["finish_reason"] == "tool_calls"


def test_a_call_that_was_only_thought_of_is_shown_when_it_is_asked_for_again() -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS, "tool_choice": "required"}, Policy())
    turn.feed(replies({"thinking": "I could call f."}, {"done": "stop"}))
    turn.close()
    assert turn.ask is not None
    assert turn.ask.payload["messages"][-2] == {"role": "assistant", "content": "I could call f."}


def test_nothing_at_all_is_no_call_and_is_asked_again_as_it_was() -> None:
    [turn] = chat_turns({**BODY, "tools": TOOLS, "tool_choice": "required"}, Policy())
    assert turn.ask is not None
    payload = turn.ask.payload
    turn.feed(replies({"done": "stop", "eval": 30}))
    assert turn.close() == []
    assert turn.ask is not None
    assert turn.ask.payload == payload


def test_a_call_that_stays_wrong_is_told_with_what_is_wrong() -> None:
    tool = {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    body = {**BODY, "tools": [{"type": "function", "function": tool}], "tool_choice": "required"}
    [turn] = chat_turns(body, Policy())
    wrong = replies({"calls": [["f", {"x": "one"}]]}, {"done": "stop"})
    turn.feed(wrong)
    turn.close()
    turn.feed(wrong)
    with pytest.raises(ToolCallParseError, match=r"The arguments were wrong: .*x"):
        turn.close()


# --- the turn around it


def test_roles_that_were_refused_before_are_merged_at_once_and_told() -> None:
    body = {**BODY, "messages": [*BODY["messages"], {"role": "user", "content": "there"}]}
    [turn] = chat_turns(body, Policy(), merged=True)
    assert turn.ask is not None
    assert turn.ask.payload["messages"] == [{"role": "user", "content": "Hi\n\nthere"}]
    assert turn.warnings == ["roles_merged"]
    with pytest.raises(O2OError, match="chat template"):
        turn.refused(MERGED)


@pytest.mark.parametrize("merge_roles", ["auto", "always", "never"])
def test_nothing_is_told_where_merging_makes_no_difference(merge_roles: Any) -> None:
    [turn] = chat_turns(BODY, Policy(merge_roles=merge_roles), merged=True)
    assert turn.warnings == []
    assert turn.ask is not None
    assert turn.ask.payload["messages"] == BODY["messages"]


def test_a_refusal_in_the_middle_is_never_asked_again() -> None:
    body = {**BODY, "messages": [*BODY["messages"], {"role": "user", "content": "there"}]}
    [turn] = chat_turns(body, Policy())
    turn.feed(replies("A"))
    with pytest.raises(O2OError):
        turn.refused(Refused(400, "Jinja Exception: roles must alternate", midway=True))


def test_a_schema_that_ollama_refuses_is_the_forms_where_no_tools_were_sent() -> None:
    schema = Refused(400, "Unable to generate parser. JSON schema conversion failed:\nno")
    body = {**BODY, "tools": TOOLS, "response_format": FORM}
    [turn] = chat_turns(body, Policy())
    with pytest.raises(O2OError) as first:
        turn.refused(schema)
    [turn] = chat_turns(body, Policy())
    turn.feed(replies("It is 1.", {"done": "stop"}))
    turn.close()
    with pytest.raises(O2OError) as second:
        turn.refused(schema)
    assert (first.value.param, second.value.param) == ("tools", "response_format")


@pytest.mark.parametrize("message", ["hello", ["a"], {"content": 1}])
def test_json_that_is_no_reply_of_ollamas_is_told_as_such(message: object) -> None:
    [turn] = chat_turns(BODY, Policy())
    with pytest.raises(UpstreamInvalid):
        turn.feed([{"message": message}])
