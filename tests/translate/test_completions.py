"""Turns of text completions: the table, whole and as a stream, and what no table can say."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import O2OError, Refused, UpstreamInvalid
from o2o.schemas import check_completions
from o2o.translate.completions import completion, fold, head, shown, usage
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy
from o2o.translate.prompting import wanted
from o2o.translate.turn import Stamp
from tests.cases import Case, played, reply
from tests.driving import Cut, at_once, completion_turns, play, singly
from tests.table import check_asked, check_choices, check_error

STAMP = Stamp("cmpl-1", 1_700_000_000, "m", "fp_0123456789")
BODY = {"model": "m", "prompt": "Hi"}
OVERFLOW = Refused(
    400, "request (5024 tokens) exceeds the available context size (4096 tokens), try increasing it"
)


@pytest.mark.parametrize("cut", [singly, at_once])
@pytest.mark.parametrize(("case", "whole"), played("completions"))
def test_case(case: Case, whole: bool, cut: Cut) -> None:
    done = play(case, whole=whole, cut=cut)
    check_asked(case, done.asked, whole=whole)
    check_error(case, done.error, whole=whole)
    if done.error is not None:
        if not whole:
            check_choices(case, done.choices)
        return
    choices = done.choices
    if whole:
        asked = wanted(check_completions(case.body(whole=True)), Policy(**case.get("settings", {})))
        choices = shown(choices, done.turns, asked)
        assert {"choices": choices, "usage": usage(done.turns)} == case.completion()
    else:
        assert choices == case.choices()


def test_the_window_grows_up_to_what_the_model_has() -> None:
    [turn] = completion_turns(BODY, Policy(), Facts(context_length=6000))
    assert turn.refused(OVERFLOW) == []
    assert turn.num_ctx == 6000
    assert turn.ask is not None
    assert turn.ask.payload["options"]["num_ctx"] == 6000
    assert turn.warnings == ["num_ctx_grown"]


def test_a_prompt_that_does_not_fit_in_the_middle_of_an_answer_is_a_failure() -> None:
    [turn] = completion_turns(BODY, Policy())
    with pytest.raises(O2OError):
        turn.refused(Refused(500, OVERFLOW.text, midway=True))


def test_log_probabilities_of_thinking_are_nobodys() -> None:
    [turn] = completion_turns({**BODY, "logprobs": 0}, Policy())
    told: list[Any] = [{"thinking": "a", "logprobs": [["a", -9]]}, {"response": "a", "logprobs": [["a", -1]]}]
    choices = turn.feed([reply("completions", one) for one in told])
    assert [choice["logprobs"]["token_logprobs"] for choice in choices] == [[-1]]
    assert turn.score == -1


def test_an_answer_in_a_form_is_waited_for_patiently() -> None:
    [turn] = completion_turns({**BODY, "format": "json"}, Policy())
    assert turn.ask is not None
    assert turn.ask.patient


def test_a_chunk_and_a_completion_begin_alike() -> None:
    assert head(STAMP) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp_0123456789",
    }
    assert completion(STAMP, [], {"total_tokens": 0}) == {
        **head(STAMP),
        "choices": [],
        "usage": {"total_tokens": 0},
    }


def test_choices_with_and_without_likely_others_fold_into_one_that_has_none() -> None:
    lists = {"tokens": ["a"], "token_logprobs": [-1.0], "text_offset": [0]}
    one = {
        "index": 0,
        "text": "a",
        "logprobs": {**lists, "top_logprobs": [{"a": -1.0}]},
        "finish_reason": None,
    }
    other = {"index": 0, "text": "a", "logprobs": {**lists, "top_logprobs": None}, "finish_reason": "stop"}
    for choices in ([one, other], [other, one]):
        folded = fold(choices)
        assert folded[0]["logprobs"]["top_logprobs"] is None
        assert folded[0]["logprobs"]["tokens"] == ["a", "a"]


def test_json_that_is_no_reply_of_ollamas_is_told_as_such() -> None:
    [turn] = completion_turns(BODY, Policy())
    with pytest.raises(UpstreamInvalid):
        turn.feed([{"response": ["a"]}])


def test_a_broken_answer_has_nothing_left_to_say() -> None:
    [turn] = completion_turns(BODY, Policy())
    turn.feed([reply("completions", "a")])
    assert turn.rest() == []
