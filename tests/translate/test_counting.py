from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest, Refused
from o2o.schemas import check_chat
from o2o.translate import asking
from o2o.translate.counting import CountTurn
from o2o.translate.policy import Policy, resolve

OVERFLOW = (
    '{"error":{"code":400,"message":"request (5024 tokens) exceeds the available context size (4096 tokens), try'
    ' increasing it","type":"exceed_context_size_error","n_prompt_tokens":5024,"n_ctx":4096}}'
)
JINJA = '{"error":{"code":400,"message":"Jinja Exception: Conversation roles must alternate","type":"x"}}'


def turn(**more: Any) -> CountTurn:
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    body = check_chat({"model": "m", "messages": messages, **more})
    policy = Policy(truncate=True)
    return CountTurn(asking.ask(body, resolve("m", policy), policy=policy, facts=None))


def test_one_token_is_asked_for_and_the_prompt_is_not_cut() -> None:
    counting = turn(max_tokens=500, response_format={"type": "json_object"}, logprobs=True, num_ctx=2048)
    assert counting.ask is not None
    assert counting.ask.payload == {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        "stream": True,
        "truncate": False,
        "options": {"num_predict": 1, "num_ctx": 2048},
    }
    assert counting.num_ctx == 2048


def test_the_count_is_that_of_the_last_reply() -> None:
    counting = turn()
    assert counting.feed([{"message": {"content": "x"}}, {"done": True, "prompt_eval_count": 7}]) == []
    assert counting.close() == []
    assert (counting.tokens, counting.ask) == (7, None)


def test_a_prompt_that_does_not_fit_is_counted_too() -> None:
    counting = turn()
    assert counting.refused(Refused(400, OVERFLOW)) == []
    assert (counting.tokens, counting.ask) == (5024, None)


def test_a_template_that_wants_other_roles_is_asked_once_more() -> None:
    counting = turn()
    counting.refused(Refused(400, JINJA))
    assert counting.ask is not None
    assert counting.ask.payload["messages"] == [{"role": "user", "content": "a\n\nb"}]
    with pytest.raises(BadRequest):
        counting.refused(Refused(400, JINJA))
    assert counting.rest() == []
