"""Laws of answers: whatever Ollama replies, it is said well, and the same however it comes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings, strategies as st

from o2o.errors import O2OError
from o2o.translate.chat import ChatTurn
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy
from o2o.translate.speaker import fold
from o2o.translate.turn import Choice
from tests.driving import numbered, question
from tests.property.replies import STRICT, answers, body, facts, policies, requests

MOST_ASKS = 3
Batches = list[list[dict[str, Any]]]


def said(
    request: dict[str, Any],
    policy: Policy,
    known: Facts | None,
    batches: Batches,
    *,
    whole: bool = False,
    short_way: bool = True,
) -> tuple[list[Choice], str | None]:
    """Return all choices of a turn that gets the same answer whenever it asks, and the code of its failure."""
    choices: list[Choice] = []
    try:
        turn = ChatTurn(
            question(body(request), policy, known), new_id=numbered(), whole=whole, short_way=short_way
        )
    except O2OError as error:
        return [], error.code
    asks = 0
    try:
        while turn.ask is not None:
            asks += 1
            assert asks <= MOST_ASKS
            for batch in batches:
                choices += turn.feed(batch)
            choices += turn.close()
    except O2OError as error:
        return choices + turn.rest(), error.code
    return choices, None


def cut(replies: list[dict[str, Any]], places: list[int]) -> Batches:
    """Return the replies in batches that end at some places."""
    ends = sorted({place % len(replies) for place in places} - {0})
    return [replies[a:b] for a, b in zip([0, *ends], [*ends, len(replies)], strict=True)]


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers())
def test_an_answer_has_one_role_first_and_one_finish_last(
    request: dict[str, Any], policy: Policy, known: Facts | None, replies: list[dict[str, Any]]
) -> None:
    choices, failure = said(request, policy, known, [replies])
    roles = [at for at, choice in enumerate(choices) if "role" in choice["delta"]]
    finishes = [at for at, choice in enumerate(choices) if choice["finish_reason"] is not None]
    assert roles == ([0] if choices else [])
    assert finishes == ([] if failure else [len(choices) - 1])
    for at, choice in enumerate(choices):
        assert set(choice) == {"index", "delta", "logprobs", "finish_reason"}
        assert (choice["delta"] == {}) == (at in finishes)


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers())
def test_calls_are_numbered_and_named_once(
    request: dict[str, Any], policy: Policy, known: Facts | None, replies: list[dict[str, Any]]
) -> None:
    choices, failure = said(request, policy, known, [replies])
    fragments = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert [call["index"] for call in fragments] == [at // 2 for at in range(len(fragments))]
    assert [call.get("id") for call in fragments[::2]] == [
        f"call_{n + 1}" for n in range(len(fragments) // 2)
    ]
    assert all(set(call) == {"index", "function"} for call in fragments[1::2])
    offered = {tool["function"]["name"] for tool in request.get("tools", ())}
    assert {call["function"]["name"] for call in fragments[::2]} <= offered
    if failure is None:
        assert (choices[-1]["finish_reason"] == "tool_calls") == bool(fragments)
    if request.get("parallel_tool_calls") is False:
        assert len(fragments) <= 2


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers())
def test_a_call_of_a_strict_function_fits_its_schema(
    request: dict[str, Any], policy: Policy, known: Facts | None, replies: list[dict[str, Any]]
) -> None:
    request["tools"] = [STRICT]
    whole = fold(said(request, policy, known, [replies])[0])
    for call in whole[0]["message"].get("tool_calls", ()) if whole else ():
        assert isinstance(json.loads(call["function"]["arguments"]).get("x", 0), int)


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers(), st.lists(st.integers(0, 9), max_size=4))
def test_it_does_not_matter_in_which_batches_replies_come(
    request: dict[str, Any],
    policy: Policy,
    known: Facts | None,
    replies: list[dict[str, Any]],
    places: list[int],
) -> None:
    one = said(request, policy, known, [replies])
    assert said(request, policy, known, cut(replies, places)) == one
    assert said(request, policy, known, [[reply] for reply in replies]) == one


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers())
def test_a_whole_answer_is_the_fold_of_the_stream(
    request: dict[str, Any], policy: Policy, known: Facts | None, replies: list[dict[str, Any]]
) -> None:
    # What is held is said in one order, thinking first, which tags would show where it came later.
    policy = replace(policy, reasoning="both")
    # A whole answer that breaks its form is asked for again without thinking, and that is another question.
    assume(request.get("think") is not True)
    streamed, failure = said(request, policy, known, [replies])
    whole, whole_failure = said(request, policy, known, [replies], whole=True)
    assert whole_failure == failure
    if failure is None:
        assert fold(whole) == fold(streamed)


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers())
def test_the_short_way_of_plain_text_is_the_long_way(
    request: dict[str, Any], policy: Policy, known: Facts | None, replies: list[dict[str, Any]]
) -> None:
    batches = [replies[:2], replies[2:]]
    assert said(request, policy, known, batches) == said(request, policy, known, batches, short_way=False)


@settings(max_examples=200, deadline=None)
@given(requests, policies, facts, answers())
def test_log_probabilities_stand_only_beside_the_text_they_are_of(
    request: dict[str, Any], policy: Policy, known: Facts | None, replies: list[dict[str, Any]]
) -> None:
    for choice in said(request, policy, known, [replies])[0]:
        if choice["logprobs"] is None:
            continue
        assert request["logprobs"]
        text = choice["delta"]["content"]
        for entry in choice["logprobs"]["content"]:
            assert entry["token"]
            assert text.startswith(entry["token"]) or entry["token"] in text or text in entry["token"]
