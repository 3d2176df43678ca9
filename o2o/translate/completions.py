"""POST /v1/completions: what to ask Ollama's /api/generate, and what its replies become; pure.

Prompts go to the model as they are (`raw`), which is what OpenAI's endpoint means; the operator or the caller may
want the model's template instead, and a `suffix` needs it. Several prompts and `n` are several turns with
indices prompt by prompt. `best_of` makes more turns than are shown and keeps those with the best mean
log probability. An answer with a form is checked as one of chat is: what is held back is asked for once more where it
breaks its form, what has streamed can only be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from o2o.errors import BadRequest, O2OError, Refused, ResponseFormatViolation
from o2o.schemas import CompletionRequest
from o2o.translate import faults
from o2o.translate.facts import Facts
from o2o.translate.format import Format, wish
from o2o.translate.logprobs import Collector, to_legacy
from o2o.translate.ollama_options import seed_of
from o2o.translate.options import Sampling
from o2o.translate.policy import Policy, Resolved
from o2o.translate.turn import Ask, Choice, Stamp, texts
from o2o.translate.usage import Usage
from o2o.translate.window import Kept, larger_window

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


def payload(
    resolved: Resolved, wanted: Wanted, prompt: str, sampling: Sampling, *, seed: int | None = None
) -> dict[str, Any]:
    """Return the body of one /api/generate."""
    options = dict(sampling.options)
    if seed is not None:
        options["seed"] = seed
    made: dict[str, Any] = {"model": resolved.target, "prompt": prompt, "stream": True, "think": False}
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


class CompletionTurn:
    """One choice of a text completion in the making."""

    def __init__(
        self,
        made: dict[str, Any],
        *,
        wanted: Wanted,
        policy: Policy,
        facts: Facts | None,
        model: str,
        index: int = 0,
        counted: bool = True,
        nothing: bool = False,
        kept: Kept | None = None,
        whole: bool = False,
    ) -> None:
        self.index = index
        self.usage = Usage()
        self.final: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.counted = counted
        """Whether this is the turn that counts the prompt of its siblings."""
        self._wanted = wanted
        self._nothing = nothing
        """No tokens are wanted: the prompt is only counted."""
        self._kept = kept
        self._policy = policy
        self._facts = facts
        self._model = model
        self._payload = made
        self._offset = 0
        self._grown = False
        self._echo = wanted.echo
        form = wanted.format
        self._holds = form is not None and (whole or form.unquote)
        self._last = False
        """Whether this was asked for once more, and whatever comes is not asked again."""
        self._begin()

    def _begin(self) -> None:
        """Ask, and forget what an earlier answer said."""
        self._thoughts: list[str] = []
        self._texts: list[str] = []
        self._entries = Collector()
        self._sum = 0.0
        self._number = 0
        self.ask: Ask | None = self._asking()

    @property
    def score(self) -> float:
        """The mean log probability of the answer's tokens; more is better."""
        return self._sum / self._number if self._number else float("-inf")

    @property
    def num_ctx(self) -> int | None:
        """The window that was asked for, if one was."""
        window: int | None = self._payload.get("options", {}).get("num_ctx")
        return window

    def feed(self, replies: Sequence[dict[str, Any]]) -> list[Choice]:
        """Take a batch of replies; return the choices they give."""
        out: list[Choice] = []
        if self._echo:
            out.append(self._choice(self._payload["prompt"]))
            self._echo = False
        for reply in replies:
            text, thinking = texts(reply, "response")
            if thinking:
                self._thoughts.append(thinking)
            self._entries.add(reply.get("logprobs"), about_content=not thinking)
            if text and not self._nothing:
                self._thoughts.clear()
                if self._wanted.format is not None:
                    self._texts.append(text)
                if not self._holds:
                    out.append(self._choice(text))
            if reply.get("done"):
                self.final = reply
        return out

    def close(self) -> list[Choice]:
        """Take the end of Ollama's answer."""
        self.ask = None
        self.usage.add(self.final)
        cut = self.final.get("done_reason") == "length" or self._nothing
        if self._nothing:
            self.usage.completion_tokens = 0
            self._thoughts.clear()
        # A built-in parser may take a whole answer for thinking although thinking was switched off.
        answer = "".join(self._texts or self._thoughts)
        form = self._wanted.format
        if form is not None and not cut and form.violation(answer) is not None:
            if self._holds and not self._last:
                self._last = True
                self._begin()
                return []
            self._violated(form)
        rest = answer if self._holds else "".join(self._thoughts)
        last = self._choice(rest if form is None else form.bare(rest))
        last["finish_reason"] = "length" if cut else "stop"
        return [last]

    def _violated(self, form: Format) -> None:
        if form.strict:
            raise ResponseFormatViolation
        self.warnings.append("response_format")

    def refused(self, refused: Refused) -> list[Choice]:
        """Ask once more with a larger window where that helps; otherwise raise what the refusal means."""
        self.ask = None
        if not refused.midway and not self._grown:
            window = larger_window(refused, self._policy, self._facts, sent=self.num_ctx, kept=self._kept)
            if window is not None:
                self._grown = True
                options = {**self._payload.get("options", {}), "num_ctx": window}
                self._payload = {**self._payload, "options": options}
                self.warnings.append("num_ctx_grown")
                self.ask = self._asking()
                return []
        raise self.error(refused)

    def error(self, refused: Refused) -> O2OError:
        """Return what a refusal of Ollama's means to the caller."""
        return faults.to_error(refused, model=self._model, about="prompt", tools=False, limit=None)

    def rest(self) -> list[Choice]:
        """Return what had come before the answer broke: nothing, since half of what was held is no answer."""
        return []

    def _asking(self) -> Ask:
        return Ask("generate", self._payload, patient=self._wanted.format is not None)

    def _choice(self, text: str) -> Choice:
        entries = self._entries.take(text)
        self._sum += sum(entry["logprob"] for entry in entries)
        self._number += len(entries)
        logprobs = None
        if entries and self._wanted.logprobs is not None:
            logprobs = to_legacy(entries, offset=self._offset, top=self._wanted.logprobs)
        self._offset += len(text)
        return {"index": self.index, "text": text, "logprobs": logprobs, "finish_reason": None}


def turns(
    resolved: Resolved,
    wanted: Wanted,
    sampling: Sampling,
    policy: Policy,
    facts: Facts | None,
    *,
    whole: bool = False,
) -> list[CompletionTurn]:
    """Return the turns that a body asks for; a seed goes up by one from answer to answer, so that they differ.

    `whole`: the answers are not streamed, so that they can be asked for again.
    """
    made: list[CompletionTurn] = []
    seed = sampling.options.get("seed")
    for number, prompt in enumerate(wanted.prompts):
        for k in range(wanted.best_of):
            own_seed = None if seed is None else seed_of(seed, k)
            made.append(
                CompletionTurn(
                    payload(resolved, wanted, prompt, sampling, seed=own_seed),
                    wanted=wanted,
                    policy=policy,
                    facts=facts,
                    model=resolved.requested,
                    index=number * wanted.best_of + k,
                    counted=k == 0,
                    nothing=sampling.limit == 0,
                    kept=sampling.kept,
                    whole=whole,
                )
            )
    return made


def best(choices: list[Choice], made: Sequence[CompletionTurn], wanted: Wanted) -> list[Choice]:
    """Return the best `n` answers to each prompt, with the indices that they are shown under."""
    kept: list[Choice] = []
    for number in range(len(wanted.prompts)):
        start = number * wanted.best_of
        order = sorted(range(start, start + wanted.best_of), key=lambda at: -made[at].score)
        kept += [{**choices[at], "index": number * wanted.n + k} for k, at in enumerate(order[: wanted.n])]
    return kept


def fold(choices: list[Choice]) -> list[Choice]:
    """Return the whole choices: what an accumulating client makes of the same pieces."""
    folded: dict[int, Choice] = {}
    for choice in choices:
        whole = folded.setdefault(
            choice["index"], {"text": "", "index": choice["index"], "logprobs": None, "finish_reason": None}
        )
        whole["text"] += choice["text"]
        if choice["logprobs"] is not None:
            if whole["logprobs"] is None:
                whole["logprobs"] = {key: [] for key in choice["logprobs"]}
            for key, values in choice["logprobs"].items():
                known = whole["logprobs"][key]
                whole["logprobs"][key] = None if known is None or values is None else known + values
        if choice["finish_reason"] is not None:
            whole["finish_reason"] = choice["finish_reason"]
    return [folded[index] for index in sorted(folded)]


def head(stamp: Stamp) -> dict[str, Any]:
    """Return the fields that every chunk, and the whole completion, begin with."""
    return {
        "id": stamp.id,
        "object": "text_completion",
        "created": stamp.created,
        "model": stamp.model,
        "system_fingerprint": stamp.fingerprint,
    }


def completion(stamp: Stamp, choices: list[Choice], usage: dict[str, Any]) -> dict[str, Any]:
    """Return the whole completion."""
    return {**head(stamp), "choices": choices, "usage": usage}
