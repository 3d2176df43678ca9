"""Find calls that a model wrote as text, while the text streams.

Theory of operation. Text goes through at once, up to where it begins to look like a call: a tag that models put in
front of one, or, at the beginning of a line, JSON or a code fence. From there it is held back, as long as it can
still turn out to open a call of an offered tool. That is settled within the first key and the name; what differs
goes through at once. What does open a call is held to the end of the answer. If all of that reads as calls of
offered tools with arguments that fit, it becomes calls; otherwise it goes out as the text it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from o2o.translate.tools.calls import Call
from o2o.translate.tools.forced import check_arguments
from o2o.translate.tools.leaked import TAGS, read_calls
from o2o.translate.tools.plan import ToolPlan

_BLANKS = 32
"""How much white space may stand within an opening."""

_START = re.compile(r"[<\[{`]")
_NAME_KEYS = ('"name"', '"function"', '"tool"', '"tool_name"')
_SURE_KEYS = ('"arguments"', '"parameters"', '"tool_calls"', '"type"')
_FENCES = ("json\n", "tool_call\n", "tool_calls\n", "tool_code\n", "xml\n", "\n")


class Rescue:
    """Let text through, and hold back what may be calls of a plan's tools."""

    def __init__(self, plan: ToolPlan) -> None:
        self._plan = plan
        self._opening = _Opening([tool.name for tool in plan.offered])
        self._pending = ""
        self._held: list[str] | None = None
        self._line_is_blank = True
        self._said = False

    def feed(self, text: str) -> str:
        """Take a piece of text; return what can be let through now."""
        if self._held is not None:
            self._held.append(text)
            return ""
        text = self._pending + text
        until, opened = self._look(text)
        if not self._said and not text[:until].strip():
            until = 0  # white space in front of a call is not worth saying
        out, rest = text[:until], text[until:]
        if opened:
            self._pending, self._held = "", [rest]
        else:
            self._pending = rest
        self._said = self._said or bool(out)
        self._line_is_blank = self._blank_at(out, len(out))
        return out

    def close(self) -> tuple[str, list[Call]]:
        """Take the end; return the text that is left to say, and the calls that it was instead."""
        text = self._pending if self._held is None else "".join(self._held)
        opened = self._held is not None
        self._pending, self._held = "", None
        calls = read_calls(text, self._plan) if opened else []
        if calls and not any(check_arguments(call, self._plan) for call in calls):
            return "", calls
        return text, []

    def _look(self, text: str) -> tuple[int, bool]:
        """Return up to where text goes through, and whether a call opens there."""
        at = 0
        while (start := _START.search(text, at)) is not None:
            at = start.start()
            try:
                if self._opening.opens(text, at, self._blank_at(text, at)):
                    return at, True
            except _More:
                return at, False
            at += 1
        return len(text), False

    def _blank_at(self, text: str, at: int) -> bool:
        """Tell whether only white space stands between a place and the beginning of its line."""
        line = text.rfind("\n", 0, at)
        return not text[line + 1 : at].strip() and (line >= 0 or self._line_is_blank)


class _More(Exception):
    """The text ends before it can be told."""


class _Opening:
    """Tell whether text at some place opens a call of one of the tools with these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._quoted = tuple(f'"{name}"' for name in names)
        self._xml = tuple(f"<function={name}>" for name in names)
        self._bare = tuple(f"{name}{end}" for name in names for end in ("[ARGS]", "{"))

    def opens(self, text: str, at: int, line_is_blank: bool) -> bool:
        """Return whether a call opens at `at`; raises _More if what follows decides."""
        after = _one_of(text, at, TAGS + self._xml)
        if after is not None:
            return text.startswith("<function=", at) or self._body(text, after)
        if not line_is_blank:
            return False
        after = _one_of(text, at, ("```",))
        if after is not None:
            after = _one_of(text, after, _FENCES)
            return after is not None and self._body(text, after)
        return text[at] in "{[" and self._body(text, at)

    def _body(self, text: str, at: int) -> bool:
        """Tell whether a call follows, in JSON or otherwise."""
        at = _blank(text, at)
        after = _one_of(text, at, ("{", "[", "<tool_call>", *self._xml, *self._bare))
        if after is None:
            return False
        if text[at] == "{":
            return self._object(text, after)
        if text[at] == "[":
            return self._list(text, after)
        return not text.startswith("<tool_call>", at) or self._body(text, after)

    def _list(self, text: str, at: int) -> bool:
        after = _one_of(text, _blank(text, at), ("{",))
        return after is not None and self._object(text, after)

    def _object(self, text: str, at: int) -> bool:
        key = _blank(text, at)
        after = _one_of(text, key, _NAME_KEYS + _SURE_KEYS)
        if after is None:
            return False
        if text[key:after] in _SURE_KEYS:
            return True
        after = _one_of(text, _blank(text, after), (":",))
        if after is None:
            return False
        after = _one_of(text, _blank(text, after), ("{", *self._quoted))
        return after is not None and (text[after - 1] == '"' or self._object(text, after))


def _blank(text: str, at: int) -> int:
    end = at
    while end < len(text) and end - at < _BLANKS and text[end] in " \t\r\n":
        end += 1
    return end


def _one_of(text: str, at: int, words: Sequence[str]) -> int | None:
    """Return where the word that stands at `at` ends, or None; raises _More if one may be coming."""
    for word in words:
        if text.startswith(word, at):
            return at + len(word)
    rest = text[at:]
    if any(word.startswith(rest) for word in words):
        raise _More
    return None
