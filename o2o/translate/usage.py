"""Ollama's figures -> OpenAI's `usage`, and the `timings` of llama.cpp's server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Usage:
    """The tokens of one answer, summed over everything that was asked for it.

    `count` every reply, `add` the last one of each ask. Ollama does not say how many tokens were reasoning;
    what is told is an estimate from the numbers of lines, which hold about as many tokens each.
    """

    __slots__ = (
        "_content",
        "_thinking",
        "cached_tokens",
        "completion_tokens",
        "prompt_tokens",
        "reasoning_tokens",
    )

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cached_tokens = 0
        self.reasoning_tokens = 0
        self._thinking = 0
        self._content = 0

    def count(self, thinking: str | None, content: str | None) -> None:
        """Take note of what one reply carried."""
        if thinking:
            self._thinking += 1
        if content:
            self._content += 1

    def count_texts(self, number: int) -> None:
        """Take note of replies that carried content and nothing else."""
        self._content += number

    def add(self, final: Mapping[str, Any]) -> None:
        """Add the figures of an ask's last reply."""
        prompt = figure(final, "prompt_eval_count")
        tokens = figure(final, "eval_count")
        self.prompt_tokens += prompt
        self.completion_tokens += tokens
        # Ollama >= 0.33.3; the cached tokens are among those of the prompt.
        self.cached_tokens += min(prompt, figure(final, "prompt_eval_cached_count"))
        self._add_reasoning(tokens, cut=final.get("done_reason") == "length")

    def cut(self, limit: int) -> None:
        """Add an ask that reached its limit of tokens and ended without figures."""
        self.completion_tokens += limit
        self._add_reasoning(limit, cut=True)

    def _add_reasoning(self, tokens: int, *, cut: bool) -> None:
        thinking, content = self._thinking, self._content
        self._thinking = self._content = 0
        if content:
            self.reasoning_tokens += round(tokens * thinking / (thinking + content))
        elif thinking:
            # Without content the rest were calls, or there was no rest.
            self.reasoning_tokens += tokens if cut else min(tokens, thinking)


def total(usages: Sequence[Usage], siblings: Sequence[Usage] | None = None) -> dict[str, Any]:
    """Return OpenAI's usage of several answers.

    Without `siblings` all answer one prompt, which counts once. With them each of `usages` has a prompt of its
    own, and the siblings are further answers to one of those.
    """
    prompts = usages[:1] if siblings is None else usages
    answers = [*usages, *(siblings or ())]
    prompt = sum(usage.prompt_tokens for usage in prompts)
    completion = sum(usage.completion_tokens for usage in answers)
    reasoning = sum(usage.reasoning_tokens for usage in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": sum(usage.cached_tokens for usage in prompts),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": min(reasoning, completion),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def timings(final: Mapping[str, Any]) -> dict[str, Any]:
    """Return the durations of an answer as llama.cpp's server tells them, in milliseconds.

    `load_ms` and `queue_ms` are ours: loading the model, and what of the whole time nothing else accounts for.
    """
    cached = figure(final, "prompt_eval_cached_count")
    prompt = max(0, figure(final, "prompt_eval_count") - cached)
    predicted = figure(final, "eval_count")
    prompt_ms = figure(final, "prompt_eval_duration") / 1e6
    predicted_ms = figure(final, "eval_duration") / 1e6
    load_ms = figure(final, "load_duration") / 1e6
    total_ms = figure(final, "total_duration") / 1e6
    return {
        "cache_n": cached,
        "prompt_n": prompt,
        "prompt_ms": prompt_ms,
        "prompt_per_token_ms": _ratio(prompt_ms, prompt),
        "prompt_per_second": _ratio(prompt * 1000, prompt_ms),
        "predicted_n": predicted,
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": _ratio(predicted_ms, predicted),
        "predicted_per_second": _ratio(predicted * 1000, predicted_ms),
        "load_ms": load_ms,
        "queue_ms": max(0.0, total_ms - load_ms - prompt_ms - predicted_ms),
    }


def figure(final: Mapping[str, Any], name: str) -> int:
    """Return one of Ollama's figures, 0 where it is missing or none."""
    # Ollama leaves out what is zero.
    value = final.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _ratio(one: float, other: float) -> float:
    return one / other if other else 0.0
