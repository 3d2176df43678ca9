"""POST /v1/completions: one choice in the making, and the shapes of chunks and completions; pure.

Several prompts and `n` are several turns with indices prompt by prompt. `best_of` makes more turns than are shown
and keeps those with the best mean log probability. An answer with a form is checked as one of chat is: what is held
back is asked for once more where it breaks its form, what has streamed can only be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from o2o.errors import O2OError, Refused, ResponseFormatViolation
from o2o.translate import faults
from o2o.translate.format import Format
from o2o.translate.logprobs import Collector, to_legacy
from o2o.translate.prompting import Question, Wanted
from o2o.translate.turn import Ask, Choice, Stamp, texts
from o2o.translate.usage import Usage, total
from o2o.translate.window import larger_window


class CompletionTurn:
    """One choice of a text completion in the making."""

    def __init__(
        self, question: Question, payload: dict[str, Any], *, index: int, counted: bool, whole: bool
    ) -> None:
        self.index = index
        self.usage = Usage()
        self.final: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.counted = counted
        """Whether this is the turn that counts the prompt of its siblings."""
        self._question = question
        self._wanted = question.wanted
        self._nothing = question.sampling.limit == 0
        """No tokens are wanted: the prompt is only counted."""
        self._payload = payload
        self._offset = 0
        self._grown = False
        self._echo = question.wanted.echo
        form = question.wanted.format
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
            question = self._question
            window = larger_window(
                refused, question.policy, question.facts, sent=self.num_ctx, kept=question.kept
            )
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
        model = self._question.resolved.requested
        return faults.to_error(refused, model=model, about="prompt", tools=False, limit=None)

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


def turns(question: Question, *, whole: bool = False) -> list[CompletionTurn]:
    """Return the turns that a question asks for; `whole`: they are not streamed, and can be asked for again."""
    each = question.wanted.best_of
    return [
        CompletionTurn(question, payload, index=index, counted=index % each == 0, whole=whole)
        for index, payload in enumerate(question.payloads())
    ]


def usage(made: Sequence[CompletionTurn]) -> dict[str, Any]:
    """Return OpenAI's usage of all turns: each prompt counts once."""
    counted = [turn.usage for turn in made if turn.counted]
    return total(counted, [turn.usage for turn in made if not turn.counted])


def shown(choices: list[Choice], made: Sequence[CompletionTurn], wanted: Wanted) -> list[Choice]:
    """Return the choices of the whole completion: all of them, or the best."""
    folded = fold(choices)
    return best(folded, made, wanted) if wanted.ranked else folded


def best(choices: list[Choice], made: Sequence[CompletionTurn], wanted: Wanted) -> list[Choice]:
    """Return of the whole choices the best `n` to each prompt, with the indices that they are shown under."""
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
