"""How one answer of Ollama's is read: what is said at once, and what has to be known whole before; pure.

Theory of operation. The parts of an answer come in through `think`, `content` and `call`, its end through `end`.
There are four ways to read it:

    Through      all of it is said as it comes, but for text that looks like a call, until it is known to be none
    Checked      an answer with a form: it is held, checked, and asked for once more where it breaks its form
    ToolsFirst   the first of two steps, for tools and a form: calls are the answer; a text is asked for again,
                 without tools and in its form
    Forced       a call is demanded: constrained text is held and becomes calls; wrong ones are asked for once more

Thinking that comes although it was switched off is held too: some of Ollama's parsers take a whole answer for it,
so it is the answer if nothing else comes. `end` returns what has to be asked again, or None when all was said.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from o2o.errors import ResponseFormatViolation, ToolCallParseError
from o2o.translate.asking import Question, Stage
from o2o.translate.format import Format
from o2o.translate.logprobs import Collector
from o2o.translate.prefill import Prefill
from o2o.translate.speaker import Speaker
from o2o.translate.tools import Call, Rescue, ToolPlan, check_arguments, read_forced, shown_call

_SWALLOWED = 10
"""Tokens that nobody saw, from which on an empty answer with tools is a call that Ollama swallowed."""


class Again(NamedTuple):
    """What has to be asked, and how the answer is to be read; `last`: whatever comes of it is not asked again."""

    payload: dict[str, Any]
    stage: Stage
    last: bool = False
    plan: ToolPlan | None = None
    """The tools that may be called now, where those are not all that were offered."""


def reading(question: Question, speaker: Speaker, ask: Again, notes: list[str], *, whole: bool) -> Reading:
    """Return the way to read the answer to `ask`; `notes` takes the words for x-o2o-warning."""
    if ask.stage == "forced":
        return Forced(question, speaker, ask, notes)
    if ask.stage == "tools first":
        return ToolsFirst(question, speaker, ask, notes)
    form = question.format
    if ask.stage == "form" and form is not None and (whole or form.unquote):
        return Checked(question, speaker, ask, notes)
    return Through(question, speaker, ask, notes)


class Reading(ABC):
    """What all ways of reading have in common."""

    direct = False
    """Whether what comes is said as it comes."""
    _strictly = True
    """Whether arguments of strict tools are checked as they come."""

    @property
    def plain(self) -> bool:
        """Whether text, at this moment, is only said: not looked at, held back, kept or accounted for."""
        return False

    def __init__(self, question: Question, speaker: Speaker, ask: Again, notes: list[str]) -> None:
        self._question = question
        self._speaker = speaker
        self._ask = ask
        self._notes = notes
        self._quiet = ask.payload.get("think") is False
        self._thoughts: list[str] = []
        self._text: list[str] = []
        self._calls: list[Call] = []
        self._broken: list[tuple[Call, str]] = []
        """Calls of strict tools whose arguments break their schema, and how."""
        self._logprobs = question.logprobs
        self._entries = Collector()
        self._prefill = Prefill(question.prefill) if question.prefill else None
        self._plan = plan = ask.plan or question.offered
        rescues = plan is not None and question.policy.tool_rescue and ask.stage in ("plain", "tools first")
        self._rescue = Rescue(plan) if rescues and plan is not None else None

    # --- what comes in

    def think(self, text: str) -> None:
        """Take a piece of the thinking."""
        self._thoughts.append(text)

    def content(self, text: str) -> None:
        """Take a piece of the text."""
        if self._prefill is not None:
            text = self._prefill.feed(text)
        if text and self._rescue is not None:
            text = self._rescue.feed(text)
        if text:
            self._piece(text)

    def note(self, entries: Sequence[dict[str, Any]], content: str | None, thinking: str | None) -> None:
        """Take the log probabilities of a reply, before its text; only where they were asked for."""
        if thinking:
            entries = _last(entries, content or "")
        self._entries.add(entries, about_content=True)

    def call(self, raw: Mapping[str, Any]) -> None:
        """Take a call; those of a request that offers no tools are dropped: some parsers read calls all the same."""
        plan = self._plan
        if plan is None:
            return
        function = raw.get("function") or {}
        call = plan.call(function.get("name"), function.get("arguments"))
        if call is None:
            self._unknown()
        elif self._strictly and plan.by_name[call.name].strict and (wrong := check_arguments(call, plan)):
            self._broken.append((call, wrong))
        else:
            self._called(call)

    def _piece(self, text: str) -> None:
        self._text.append(text)

    def _called(self, call: Call) -> None:
        self._calls.append(call)

    def _unknown(self) -> None:
        raise ToolCallParseError("The model called a tool that was not offered.")

    # --- the end

    def end(self, *, cut: bool, tokens: int) -> Again | None:
        """Take the end of an answer of so many tokens; `cut`: by the limit. Return what to ask again.

        Raises ToolCallParseError and ResponseFormatViolation.
        """
        for call in self._end_of_text():
            self._called(call)
        return self._end(cut, tokens)

    @abstractmethod
    def break_off(self) -> None:
        """Say what may be said of an answer that broke."""

    def _end_of_text(self) -> list[Call]:
        """Let out the text that was held back as it comes; return the calls that it was instead."""
        rest = self._prefill.close() if self._prefill is not None else ""
        calls: list[Call] = []
        if self._rescue is not None:
            rest = self._rescue.feed(rest) if rest else ""
            held, calls = self._rescue.close()
            rest += held
        if rest:
            self._piece(rest)
        if calls:
            self._notes.append("tool_call_rescued")
        return calls

    @abstractmethod
    def _end(self, cut: bool, tokens: int) -> Again | None: ...

    def _say_text(self, text: str) -> None:
        self._speaker.content(text, self._entries.take(text) if self._logprobs else None)

    def _say_calls(self, calls: Sequence[Call]) -> None:
        plan = self._plan
        for call in calls:
            assert plan is not None  # or there would be no calls
            if plan.parallel or not self._speaker.calls:
                self._speaker.call(call)

    def _demanded(self) -> Again:
        """Return how to have the call of a strict tool made anew: as a demanded one, which a grammar constrains."""
        (call, wrong), *others = self._broken
        if others:
            raise _invalid(wrong)
        payload, plan = self._question.demanding(self._ask.payload, call, wrong)
        return Again(payload, "forced", last=True, plan=plan)

    def _check_swallowed(self, cut: bool, tokens: int) -> None:
        """Raise where Ollama read a call, could not make sense of it, and said nothing about it."""
        speaker = self._speaker
        seen = speaker.said or speaker.calls or speaker.thought or self._thoughts
        if "tools" in self._ask.payload and not cut and not seen and tokens >= _SWALLOWED:
            raise ToolCallParseError

    def _violated(self, form: Format) -> None:
        if form.strict:
            raise ResponseFormatViolation
        self._notes.append("response_format")


def _invalid(wrong: str | None) -> ToolCallParseError:
    return ToolCallParseError(
        "The model did not produce a valid call of the tool that was asked for."
        + (f" The arguments were wrong: {wrong}" if wrong else "")
    )


def _last(entries: Sequence[dict[str, Any]], text: str) -> Sequence[dict[str, Any]]:
    """Return the last entries, those of `text`: what was thought comes first."""
    length, at = 0, len(entries)
    while at > 0 and length < len(text):
        at -= 1
        length += len(entries[at].get("token") or "")
    return entries[at:]


class Through(Reading):
    """Says what comes as it comes."""

    direct = True

    @property
    def plain(self) -> bool:
        return not (self._quiet or self._logprobs or self._prefill or self._rescue) and (
            self._question.format is None and self._speaker.open
        )

    def think(self, text: str) -> None:
        if self._quiet:
            self._thoughts.append(text)
        else:
            self._speaker.reasoning(text)

    def _piece(self, text: str) -> None:
        self._let_out_thoughts()
        if self._question.format is not None:
            self._text.append(text)
        self._say_text(text)

    def _called(self, call: Call) -> None:
        self._let_out_thoughts()
        self._say_calls([call])

    def break_off(self) -> None:
        self._end_of_text()
        self._let_out_thoughts()

    def _let_out_thoughts(self) -> None:
        """Something else has come: what was held back was thinking indeed."""
        self._quiet = False
        if self._thoughts:
            self._speaker.reasoning("".join(self._thoughts))
            self._thoughts.clear()

    def _end(self, cut: bool, tokens: int) -> Again | None:
        if self._thoughts and not self._broken:  # thinking was switched off: this is the answer
            answer = "".join(self._thoughts)
            self._thoughts.clear()
            self._logprobs = False
            self._piece(answer)
        if self._broken:
            self._let_out_thoughts()
            return self._demanded()
        self._check_swallowed(cut, tokens)
        form = self._question.format
        if form is not None and not cut and not self._speaker.calls:
            if form.violation("".join(self._text)) is not None:
                self._violated(form)
        return None


class _Held(Reading):
    """Holds everything back until the end."""

    def break_off(self) -> None:
        pass  # half of it was never to be seen

    def _answer(self) -> str:
        """Return the text, or the thinking that has taken its place."""
        return "".join(self._text) or ("".join(self._thoughts) if self._quiet else "")

    def _say_all(self) -> None:
        text = "".join(self._text)
        calls = self._calls or self._broken
        if not text and not calls and (text := self._answer()):
            self._thoughts.clear()
            self._logprobs = False
        if self._thoughts:
            self._speaker.reasoning("".join(self._thoughts))
        form = self._question.format
        assert form is not None
        if text:
            self._say_text(text if calls else form.bare(text))
        self._say_calls(self._calls)


class Checked(_Held):
    """Holds an answer back, and has it asked for once more where it breaks its form."""

    def _end(self, cut: bool, tokens: int) -> Again | None:
        form = self._question.format
        assert form is not None
        if not cut and not self._calls and form.violation(self._answer()) is not None:
            if not self._ask.last:
                return Again(self._question.form_payload(self._ask.payload), "form", last=True)
            self._violated(form)
        self._say_all()
        return None


class ToolsFirst(_Held):
    """Holds an answer back until it is calls, or a text that has to be asked for in its form."""

    def _end(self, cut: bool, tokens: int) -> Again | None:
        form = self._question.format
        assert form is not None
        answer = self._answer()
        if self._broken:
            self._say_all()
            return self._demanded()
        if self._calls or cut or form.violation(answer) is None:
            self._say_all()
            return None
        if not answer:
            self._check_swallowed(cut, tokens)
        if self._thoughts and (self._text or not self._quiet):
            self._speaker.reasoning("".join(self._thoughts))
        return Again(self._question.form_payload(self._ask.payload), "form")


class Forced(_Held):
    """Reads constrained text, or the calls that the model made by itself, as the calls that are demanded."""

    _strictly = False

    def _unknown(self) -> None:
        pass  # no call of ours: it is asked for again

    def _end(self, cut: bool, tokens: int) -> Again | None:
        plan = self._plan
        assert plan is not None
        text, thoughts = "".join(self._text), "".join(self._thoughts)
        calls = self._calls or read_forced(text or thoughts, plan)
        wrong = next((found for call in calls if (found := check_arguments(call, plan))), None)
        if calls and wrong is None:
            if thoughts and (text or self._calls):
                self._speaker.reasoning(thoughts)
            self._say_calls(calls)
            return None
        if cut:
            return None  # the limit fell into the call, and nothing is invented
        if self._ask.last:
            raise _invalid(wrong)
        shown = text or "\n".join(shown_call(call) for call in calls) or thoughts
        return Again(self._question.corrected(self._ask.payload, shown, wrong), "forced", last=True)
