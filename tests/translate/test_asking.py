"""What a chat body asks: what the table of cases does not show."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate import asking
from o2o.translate.asking import Question
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy
from o2o.translate.tools import Call
from o2o.translate.window import Kept
from tests.driving import question

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
FORM = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "required": ["a"]}}}
THINKS = Facts(capabilities=frozenset({"completion", "tools", "thinking"}))


def asked(policy: Policy | None = None, facts: Facts | None = None, **body: Any) -> Question:
    return question({**BODY, **body}, policy or Policy(), facts)


def refused(policy: Policy | None = None, **body: Any) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        asked(policy, **body)
    return raised.value


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": ["audio"], "audio": {"voice": "a"}}, "modalities"),
        ({"audio": {"voice": "a"}}, "audio"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
    ],
)
def test_what_cannot_be_had_is_refused(body: dict[str, Any], param: str) -> None:
    error = refused(**body)
    assert (error.code, error.param) == ("unsupported_parameter", param)


@pytest.mark.parametrize(
    "body",
    [
        {"modalities": ["text"]},
        {"audio": None, "moderation": None, "web_search_options": None, "use_beam_search": False},
    ],
)
def test_what_only_looks_like_it_is_not(body: dict[str, Any]) -> None:
    assert asked(**body).payload == asked().payload


def test_likely_tokens_need_log_probabilities() -> None:
    assert refused(top_logprobs=2).param == "top_logprobs"
    assert "logprobs" not in asked(top_logprobs=0).payload
    assert "top_logprobs" not in asked(logprobs=True, top_logprobs=0).payload


@pytest.mark.parametrize(
    ("policy", "asked_for", "sent"),
    [(False, None, False), (True, None, None), (False, True, None), (True, False, False)],
)
def test_prompts_are_cut_only_where_somebody_wants_that(
    policy: bool, asked_for: bool | None, sent: bool | None
) -> None:
    assert asked(Policy(truncate=policy), truncate=asked_for).payload.get("truncate") is sent


@pytest.mark.parametrize(
    ("body", "stage", "patient"),
    [
        ({}, "plain", False),
        ({"tools": TOOLS}, "plain", True),
        ({"tools": TOOLS, "tool_choice": "none"}, "plain", False),
        ({"response_format": FORM}, "form", True),
        ({"tools": TOOLS, "tool_choice": "none", "response_format": FORM}, "form", True),
        ({"tools": TOOLS, "response_format": FORM}, "tools first", True),
        ({"tools": TOOLS, "tool_choice": "required", "response_format": FORM}, "forced", True),
    ],
)
def test_an_answer_is_read_as_the_request_needs_and_silence_is_borne_where_ollama_holds_back(
    body: dict[str, Any], stage: str, patient: bool
) -> None:
    made = asked(**body)
    assert (made.stage, made.patient) == (stage, patient)


def test_a_model_without_tools_is_sent_them_all_the_same_so_that_ollama_says_what_it_is() -> None:
    made = asked(facts=Facts(capabilities=frozenset({"completion"})), tools=TOOLS)
    assert "tools" in made.payload
    assert [message["role"] for message in made.payload["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("effort", "harmony", "think"),
    [
        (None, False, False),
        ("none", False, False),
        ("high", False, "high"),
        (None, True, "low"),
        ("none", True, "low"),
        ("high", True, "high"),
    ],
)
def test_a_model_that_thinks_is_kept_from_it_where_it_would_break_the_form(
    effort: str | None, harmony: bool, think: bool | str
) -> None:
    facts = Facts(capabilities=frozenset({"completion", "thinking"}), harmony=harmony)
    made = asked(facts=facts, reasoning_effort=effort, response_format=FORM)
    assert made.payload["think"] == think
    assert made.form_payload(made.payload)["think"] == ("low" if harmony else False)


def test_a_model_that_may_not_think_is_not_told_to_stop() -> None:
    assert "think" not in asked(facts=Facts(), response_format=FORM).payload
    made = asked(facts=Facts(), tools=TOOLS, response_format=FORM)
    assert "think" not in made.form_payload(made.payload)


def test_the_second_of_two_steps_has_the_form_and_no_tools() -> None:
    made = asked(facts=THINKS, tools=TOOLS, response_format=FORM, temperature=0)
    second = made.form_payload(made.payload)
    assert {*made.payload} - {*second} == {"tools"}
    assert second["format"]["required"] == ["a"]
    assert second["options"] == {"temperature": 0}


@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "Be brief."}]])
def test_in_the_second_of_two_steps_nothing_is_said_of_tools_that_were_described(system: list[Any]) -> None:
    said = [*system, *BODY["messages"]]
    facts = Facts(capabilities=frozenset({"completion"}))
    policy = Policy(tools_fallback="prompt")
    made = asked(policy, facts, messages=said, tools=TOOLS, response_format=FORM)
    assert "You can call these functions" in made.payload["messages"][0]["content"]
    assert made.form_payload(made.payload)["messages"] == said
    none = asked(policy, facts, messages=said, tools=TOOLS, tool_choice="none", response_format=FORM)
    assert none.form_payload(none.payload)["messages"] == said


def test_a_demand_stands_at_the_end_of_what_the_system_says_already() -> None:
    system = {"role": "system", "content": "Be brief."}
    made = asked(messages=[system, *BODY["messages"]], tools=TOOLS, tool_choice="required")
    first, second = made.payload["messages"]
    assert first["content"].startswith("Be brief.\n\nCall the function")
    assert second == {"role": "user", "content": "Hi"}


def test_past_calls_are_told_in_words_to_a_model_whose_template_would_leave_them_out() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    messages = [
        *BODY["messages"],
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 C"},
    ]
    assert asked(messages=messages).payload["messages"][-1]["role"] == "tool"
    assert asked(messages=messages, facts=THINKS).payload["messages"][-1]["role"] == "tool"
    told = asked(messages=messages, facts=Facts(capabilities=frozenset({"completion"})))
    assert told.payload["messages"] == [
        *BODY["messages"],
        {"role": "assistant", "content": 'I look.\n{"name":"f","parameters":{"a":1}}'},
        {"role": "user", "content": "The result of `f`:\n18 C"},
    ]


def test_a_model_that_thought_does_not_think_in_its_second_try() -> None:
    made = asked(facts=THINKS, tools=TOOLS, tool_choice="required", reasoning_effort="high")
    assert made.payload["think"] == "high"
    assert made.corrected(made.payload, "", None)["think"] is False
    assert made.corrected(made.payload, "no call", None)["think"] is False


def test_a_call_that_no_grammar_can_say_is_demanded_without_one() -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "f",
            "strict": True,
            "parameters": {"properties": {"a": False}, "required": ["a"]},
        },
    }
    made = asked(tools=[tool, *TOOLS[:0]])
    payload, plan = made.demanding(made.payload, Call("f", {}), "a is missing")
    assert "format" not in payload
    assert (plan.mode, list(plan.by_name)) == ("required", ["f"])


def test_a_second_try_says_what_was_wrong() -> None:
    made = asked(tools=TOOLS, tool_choice="required")
    wrong = made.corrected(made.payload, '{"name": "f"}', "x is missing")
    assert wrong["messages"][:-2] == made.payload["messages"]
    assert wrong["messages"][-2] == {"role": "assistant", "content": '{"name": "f"}'}
    said = wrong["messages"][-1]["content"]
    assert said.startswith("Its arguments were wrong: x is missing. Call the function `f` now.")
    other = made.corrected(made.payload, "no call", None)["messages"][-1]["content"]
    assert other.startswith("It was not a call of one of the tools. Call the function")
    assert made.corrected(made.payload, "", None) == made.payload


@pytest.mark.parametrize(("seed", "seeds"), [(None, [None, None]), (7, [7, 8]), (2**31 - 1, [2**31 - 1, 0])])
def test_each_choice_has_a_seed_of_its_own(seed: int | None, seeds: list[int | None]) -> None:
    made = asked(seed=seed)
    assert [made.reseeded(k).payload.get("options", {}).get("seed") for k in (0, 1)] == seeds


def test_a_random_seed_stays_random_for_every_choice() -> None:
    assert asked(options={"seed": -1}).reseeded(1).payload["options"]["seed"] == -1


def test_a_question_can_be_asked_for_another_window() -> None:
    made = asked(num_ctx=4096)
    assert made.num_ctx == 4096
    assert made.with_window(None) is made
    assert made.with_window(4096) is made
    assert made.with_window(8192).payload["options"] == {"num_ctx": 8192}
    assert asked().num_ctx is None
    assert asked().keeping(None).payload == asked().payload
    kept = asked().keeping(Kept(8192, grown=True))
    assert (kept.num_ctx, kept.kept) == (8192, Kept(8192, grown=True))


def test_where_a_prefill_may_be_repeated_it_is_remembered() -> None:
    messages = [
        *BODY["messages"],
        {"role": "assistant", "content": "So "},
        {"role": "assistant", "content": "it is"},
    ]
    assert asked(messages=messages).prefill == "So \n\nit is"
    assert asked(messages=messages, facts=Facts(way="native")).prefill == "So \n\nit is"
    assert asked(messages=messages, facts=Facts(way="rendered")).prefill == ""
    assert asked().prefill == ""


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_what_nobody_has_begun_cannot_be_continued(role: str) -> None:
    last = {"role": role, "content": "x", "tool_call_id": "call_1"}
    error = refused(messages=[{"role": "assistant", "content": "So"}, last], continue_final_message=True)
    assert (error.code, error.param) == ("invalid_value", "continue_final_message")
    assert "nothing to continue" in error.message


def test_an_answer_cannot_both_go_on_and_begin_anew() -> None:
    begun = [*BODY["messages"], {"role": "assistant", "content": "So", "prefix": True}]
    error = refused(messages=begun, continue_final_message=True, add_generation_prompt=True)
    assert error.param == "continue_final_message"
    plain = asked(messages=begun).payload
    wishes: tuple[dict[str, Any], ...] = (
        {"continue_final_message": True},
        {"continue_final_message": True, "add_generation_prompt": False},
    )
    for wish in wishes:
        assert asked(messages=begun, **wish).payload == plain
    assert asked(continue_final_message=False, add_generation_prompt=True).payload == asked().payload


# --- what is listed, or refused by an operator who is strict


def test_what_has_no_effect_is_listed() -> None:
    body: dict[str, Any] = {"store": True, "raw": True, "template": "x", "user": "ann", "n": 1}
    assert asked(**body).ignored == ["store", "raw", "template"]
    assert asked(store=False, raw=None).ignored == []


@pytest.mark.parametrize("choice", ["required", "any", {"type": "function", "function": {"name": "f"}}])
@pytest.mark.parametrize("none", [{}, {"tools": []}, {"tools": None}])
def test_a_demand_without_tools_is_listed(choice: Any, none: dict[str, Any]) -> None:
    assert asked(tool_choice=choice, **none).ignored == ["tool_choice"]
    assert refused(Policy(strict=True), tool_choice=choice).param == "tool_choice"
    assert asked(function_call={"name": "f"}).ignored == ["function_call"]
    assert asked(tool_choice=choice, tools=TOOLS).ignored == []
    for harmless in ("none", "auto", None):
        assert asked(tool_choice=harmless, function_call=harmless, **none).ignored == []


def test_unknown_parameters_are_named_by_their_own_name() -> None:
    known = frozenset(["model", "messages"])
    assert asking.unknown({**BODY, "x": 1, "ttl": 5}, known, Policy()) == ["x"]
    with pytest.raises(BadRequest, match="^Unrecognized request argument supplied: x$"):
        asking.unknown({**BODY, "x": 1}, known, Policy(strict=True))
    assert asking.unknown(BODY, known, Policy(strict=True)) == []


def test_an_operator_may_want_parameters_without_effect_refused() -> None:
    assert refused(Policy(strict=True), mirostat=1).param == "mirostat"
    assert asked(Policy(strict=True), temperature=1).ignored == []
