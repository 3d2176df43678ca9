from __future__ import annotations

from typing import Any

import pytest

from o2o.translate.usage import Usage, timings, total

FINAL: dict[str, Any] = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 785001658,
    "load_duration": 1635430,
    "prompt_eval_count": 100,
    "prompt_eval_duration": 200_000_000,
    "eval_count": 36,
    "eval_duration": 720_000_000,
}


def used(thinking: int = 0, content: int = 0, **final: Any) -> Usage:
    usage = Usage()
    for _ in range(thinking):
        usage.count("t", "")
    for _ in range(content):
        usage.count(None, "c")
    usage.count(None, "")
    usage.add({**FINAL, **final})
    return usage


def test_usage_is_told_in_openais_shape() -> None:
    assert total([used(content=10, prompt_eval_cached_count=40)]) == {
        "prompt_tokens": 100,
        "completion_tokens": 36,
        "total_tokens": 136,
        "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_figures_that_ollama_leaves_out_are_zero() -> None:
    usage = Usage()
    usage.add({"prompt_eval_count": None, "eval_count": "5", "prompt_eval_cached_count": True})
    usage.add({"eval_count": -5})
    assert total([usage])["total_tokens"] == 0
    assert total([])["total_tokens"] == 0


def test_never_more_is_cached_than_there_is() -> None:
    assert used(prompt_eval_cached_count=500).cached_tokens == 100


@pytest.mark.parametrize(
    ("thinking", "content", "reason", "tokens"),
    [
        (0, 12, "stop", 0),
        (6, 12, "stop", 12),
        (12, 6, "length", 24),
        (5, 0, "length", 36),
        (5, 0, "stop", 5),
        (50, 0, "stop", 36),
    ],
)
def test_reasoning_tokens_are_estimated_from_lines(
    thinking: int, content: int, reason: str, tokens: int
) -> None:
    assert used(thinking, content, done_reason=reason).reasoning_tokens == tokens


def test_everything_that_was_asked_for_one_answer_is_summed() -> None:
    usage = used(thinking=1, content=1)
    usage.count(None, "c")
    usage.add(FINAL)
    shown = total([usage])
    assert (shown["prompt_tokens"], shown["completion_tokens"]) == (200, 72)
    assert shown["completion_tokens_details"]["reasoning_tokens"] == 18


def test_an_answer_that_was_cut_without_figures_has_used_its_limit() -> None:
    usage = Usage()
    usage.count("t", None)
    usage.cut(50)
    shown = total([usage])
    assert (shown["prompt_tokens"], shown["completion_tokens"]) == (0, 50)
    assert shown["completion_tokens_details"]["reasoning_tokens"] == 50


def test_a_prompt_that_has_several_answers_counts_once() -> None:
    shown = total([used(), used(), used()])
    assert (shown["prompt_tokens"], shown["completion_tokens"], shown["total_tokens"]) == (100, 108, 208)


def test_several_prompts_count_each() -> None:
    shown = total([used(), used()], [used()])
    assert (shown["prompt_tokens"], shown["completion_tokens"]) == (200, 108)
    assert total([used(), used()], [])["prompt_tokens"] == 200


def test_reasoning_is_never_more_than_what_is_counted() -> None:
    usage = used(thinking=5, content=5)
    usage.completion_tokens = 0
    assert total([usage])["completion_tokens_details"]["reasoning_tokens"] == 0


def test_timings_are_those_of_llama_cpp() -> None:
    assert timings({**FINAL, "prompt_eval_cached_count": 60}) == {
        "cache_n": 60,
        "prompt_n": 40,
        "prompt_ms": 200.0,
        "prompt_per_token_ms": 5.0,
        "prompt_per_second": 200.0,
        "predicted_n": 36,
        "predicted_ms": 720.0,
        "predicted_per_token_ms": 20.0,
        "predicted_per_second": 50.0,
        "load_ms": 1.63543,
        "queue_ms": 0.0,
    }
    assert timings({"total_duration": 900_000_000, "eval_duration": 400_000_000})["queue_ms"] == 500.0
    assert set(timings({}).values()) == {0}
