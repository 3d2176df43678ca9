"""What a completions body asks, worked out once: prompts, how many answers to each, and the payloads for Ollama; pure.

Prompts go to the model as they are (`raw`), which is what OpenAI's endpoint means; the operator or the caller may
want the model's template instead, and a `suffix` needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from o2o.errors import BadRequest
from o2o.schemas import CompletionRequest
from o2o.translate import options
from o2o.translate.asking import refuse_ignored
from o2o.translate.facts import Facts
from o2o.translate.format import Format, wish
from o2o.translate.ollama_options import seed_of
from o2o.translate.options import Sampling
from o2o.translate.policy import Policy, Resolved
from o2o.translate.window import Kept

_WITHOUT_EFFECT = ("reasoning_effort", "think", "template")
"""Thinking is always off here: the answer has no place for it."""


@dataclass(frozen=True)
class Wanted:
    """What a completions body asks, apart from the model's options."""

    prompts: list[str]
    n: int
    best_of: int
    echo: bool
    logprobs: int | None
    suffix: str | None
    raw: bool
    format: Format | None
    truncate: bool
    ignored: list[str]

    @property
    def ranked(self) -> bool:
        """Whether more answers are made than shown."""
        return self.best_of > self.n


def wanted(body: CompletionRequest, policy: Policy) -> Wanted:
    """Read the body; raises BadRequest for what cannot be done, or not together."""
    n = body.get("n") or 1
    best_of = body.get("best_of") or n
    echo = bool(body.get("echo"))
    logprobs = body.get("logprobs")
    suffix = body.get("suffix") or None
    prompts = _prompts(body.get("prompt"))
    if best_of < n:
        raise BadRequest(
            f"'best_of' must not be smaller than 'n' ({n}).", code="invalid_value", param="best_of"
        )
    if best_of > n and body.get("stream"):
        raise BadRequest("'best_of' cannot be streamed.", code="invalid_value", param="best_of")
    if best_of > policy.max_n:
        name = "n" if n > policy.max_n else "best_of"
        raise BadRequest(
            f"Invalid '{name}': this server makes at most {policy.max_n} answers to a prompt (O2O_MAX_N).",
            code="integer_above_max_value",
            param=name,
        )
    if echo and logprobs is not None:
        raise BadRequest(
            "'echo' together with 'logprobs' needs log probabilities of the prompt, which Ollama does not have.",
            code="unsupported_parameter",
            param="logprobs",
        )
    if echo and suffix:
        raise BadRequest("'echo' cannot be used together with 'suffix'.", code="invalid_value", param="echo")
    asked_raw = body.get("raw")
    raw = not policy.completions_template if asked_raw is None else bool(asked_raw)
    asked_truncate = body.get("truncate")
    truncate = policy.truncate if asked_truncate is None else bool(asked_truncate)
    form = wish(body)
    ignored = [name for name in _WITHOUT_EFFECT if body.get(name) not in (None, False, "none")]
    return Wanted(prompts, n, best_of, echo, logprobs, suffix, raw and not suffix, form, truncate, ignored)


def _prompts(prompt: Any) -> list[str]:
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not prompts:
        raise BadRequest(
            "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt"
        )
    if not all(isinstance(item, str) for item in prompts):
        raise BadRequest(
            "Token arrays cannot be used as a prompt: their numbers belong to another tokenizer. Send the prompt as "
            "text. (Or let the operator give this server tiktoken's vocabulary: TIKTOKEN_CACHE_DIR.)",
            code="unsupported_value",
            param="prompt",
        )
    if not all(prompts):
        raise BadRequest(
            "Invalid 'prompt': Ollama cannot begin with an empty prompt.",
            code="invalid_value",
            param="prompt",
        )
    return prompts


@dataclass(frozen=True)
class Question:
    """One completions request in Ollama's terms."""

    resolved: Resolved
    wanted: Wanted
    sampling: Sampling
    policy: Policy
    facts: Facts | None
    ignored: list[str]
    kept: Kept | None = None
    """The window that is sent only because the model is loaded with it."""

    @property
    def num_ctx(self) -> int | None:
        """The window that is asked for, if one is."""
        window: int | None = self.sampling.options.get("num_ctx")
        return window

    def with_window(self, window: int | None) -> Question:
        """Return the same question for another window."""
        if window is None or window == self.num_ctx:
            return self
        options = {**self.sampling.options, "num_ctx": window}
        return replace(self, sampling=replace(self.sampling, options=options))

    def keeping(self, kept: Kept | None) -> Question:
        """Return the same question, which wants no window, for the one that the model is loaded with."""
        return self if kept is None else replace(self.with_window(kept.window), kept=kept)

    def payloads(self) -> Iterator[dict[str, Any]]:
        """Yield the body of each /api/generate, prompt by prompt; a seed goes up by one from answer to answer."""
        seed = self.sampling.options.get("seed")
        for prompt in self.wanted.prompts:
            for k in range(self.wanted.best_of):
                # Equal seeds would give equal answers.
                yield self._payload(prompt, None if seed is None else seed_of(seed, k))

    def _payload(self, prompt: str, seed: int | None) -> dict[str, Any]:
        wanted, sampling = self.wanted, self.sampling
        options = dict(sampling.options)
        if seed is not None:
            options["seed"] = seed
        made: dict[str, Any] = {
            "model": self.resolved.target,
            "prompt": prompt,
            "stream": True,
            "think": False,
        }
        if wanted.raw:
            made["raw"] = True
        if wanted.suffix:
            made["suffix"] = wanted.suffix
        if wanted.format is not None:
            made["format"] = wanted.format.payload()
        if not wanted.truncate:
            made["truncate"] = False
        made["options"] = options  # never empty: there is always a limit
        if sampling.keep_alive is not None:
            made["keep_alive"] = sampling.keep_alive
        if wanted.logprobs is not None or wanted.ranked:
            made["logprobs"] = True
            if wanted.logprobs:
                made["top_logprobs"] = wanted.logprobs
        return made


def ask(
    body: CompletionRequest,
    resolved: Resolved,
    *,
    policy: Policy,
    facts: Facts | None,
    num_ctx_header: int | None = None,
) -> Question:
    """Translate a completions body; raises BadRequest for what cannot be done."""
    asked = wanted(body, policy)
    sampling = options.sampling(
        body,
        policy=policy,
        defaults=resolved.defaults,
        facts=facts,
        num_ctx_header=num_ctx_header,
        default_limit=policy.completions_max_tokens,
        zero_limit=True,
    )
    ignored = sampling.ignored + asked.ignored
    refuse_ignored(ignored, policy)
    return Question(resolved, asked, sampling, policy, facts, ignored)
