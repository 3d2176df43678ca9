"""What a completions body asks: payload by payload; the table of cases drives the rest."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.schemas import CompletionRequest, check_completions
from o2o.translate.policy import Policy, resolve
from o2o.translate.prompting import Question, ask, wanted
from o2o.translate.window import Kept


def asked(**body: Any) -> Question:
    checked = check_completions({"model": "m", "prompt": "Hi", **body})
    return ask(checked, resolve("m", Policy()), policy=Policy(), facts=None)


def test_an_empty_prompt_cannot_be_had_in_any_form() -> None:
    prompts: list[Any] = ["", [], None, 7]
    for prompt in prompts:
        with pytest.raises(BadRequest) as raised:
            wanted(CompletionRequest({"model": "m", "prompt": prompt}), Policy())
        assert raised.value.param == "prompt"


def test_each_answer_to_a_prompt_has_a_payload_and_a_seed_of_its_own() -> None:
    payloads = list(asked(prompt=["a", "b"], n=2, seed=7).payloads())
    assert [(made["prompt"], made["options"]["seed"]) for made in payloads] == [
        ("a", 7),
        ("a", 8),
        ("b", 7),
        ("b", 8),
    ]
    assert all("seed" not in made["options"] for made in asked(n=2).payloads())


def test_another_window_makes_another_question_and_leaves_this_one_alone() -> None:
    question = asked()
    assert question.num_ctx is None
    assert question.keeping(None) is question
    kept = question.keeping(Kept(8192, grown=True))
    assert (kept.num_ctx, kept.kept) == (8192, Kept(8192, grown=True))
    assert next(kept.payloads())["options"]["num_ctx"] == 8192
    assert (question.num_ctx, question.kept) == (None, None)
    wish = asked(num_ctx=4096)
    assert wish.with_window(None) is wish
    assert wish.with_window(4096) is wish
    assert (wish.with_window(8192).num_ctx, wish.with_window(8192).kept) == (8192, None)
