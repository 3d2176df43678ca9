"""Make a string that a regular expression accepts, for the plain expressions that schemas carry.

Letters, classes, groups, alternatives and counts are understood; whatever is not gives None.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Write = Callable[[random.Random], str]
"""One part of an expression: writes a string that it matches."""

_CLASSES = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyz0123456789_",
    "s": " ",
    "D": "abcdefghijklmnopqrstuvwxyz",
    "W": " -.",
    "S": "abcdefghijklmnopqrstuvwxyz0123456789",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_EASY = "abcdefghijklmnopqrstuvwxyz0123456789"
_PRINTABLE = _EASY + "ABCDEFGHIJKLMNOPQRSTUVWXYZ -_.,:;/!?@#$%&*+=()[]{}<>|~^'\"`\\"
_COUNT = re.compile(r"([*+?])|\{(\d+)(?:(,)(\d*))?\}")
_LONGEST = 10_000


class _NotPlain(Exception):
    """The expression uses more than this module knows."""


def make(pattern: str, rng: random.Random) -> str | None:
    """Return a string that `pattern` is found in, or None when none could be made."""
    try:
        made = _Parser(pattern).whole()(rng)
        return made if re.search(pattern, made) else None
    except (_NotPlain, re.error, IndexError, ValueError, RecursionError):
        return None


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def whole(self) -> Write:
        write = self.alternatives()
        if self.at < len(self.pattern):
            raise _NotPlain
        return write

    def next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]

    def alternatives(self) -> Write:
        found = [self.sequence()]
        while self.next() == "|":
            self.at += 1
            found.append(self.sequence())
        return lambda rng: rng.choice(found)(rng)

    def sequence(self) -> Write:
        parts = []
        while self.next() not in ("", "|", ")"):
            parts.append(self.counted(self.atom()))
        return lambda rng: "".join(part(rng) for part in parts)

    def counted(self, write: Write) -> Write:
        count = _COUNT.match(self.pattern, self.at)
        if not count:
            return write
        self.at = count.end()
        if self.next() in ("?", "+"):
            self.at += 1
        fewest, most = _range(count)
        return lambda rng: _repeated(write, rng.randint(fewest, most), rng)

    def atom(self) -> Write:
        char = self.take()
        if char in "^$":
            return lambda rng: ""
        if char == "(":
            return self.group()
        if char in "*+?{":
            raise _NotPlain
        choices = _EASY if char == "." else char
        if char in "[\\":
            choices = self.one_of() if char == "[" else self.escaped()
        return lambda rng: rng.choice(choices)

    def group(self) -> Write:
        if self.pattern.startswith("?:", self.at):
            self.at += 2
        elif named := re.compile(r"\?P?<\w+>").match(self.pattern, self.at):
            self.at = named.end()
        elif self.next() == "?":
            raise _NotPlain
        write = self.alternatives()
        if self.take() != ")":
            raise _NotPlain
        return write

    def escaped(self) -> str:
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "xu":
            digits = 2 if char == "x" else 4
            self.at += digits
            return chr(int(self.pattern[self.at - digits : self.at], 16))
        if char.isalnum() and char not in _ESCAPES:
            raise _NotPlain
        return _ESCAPES.get(char, char)

    def one_of(self) -> str:
        negated = self.next() == "^"
        self.at += negated
        members = ""
        while self.next() != "]" or not members:
            members += self.member()
        self.at += 1
        if not negated:
            return members
        return "".join(char for char in _EASY if char not in members) or "".join(
            char for char in _PRINTABLE if char not in members
        )

    def member(self) -> str:
        first = self.take()
        first = self.escaped() if first == "\\" else first
        if self.next() != "-" or self.pattern[self.at + 1 : self.at + 2] == "]":
            return first
        self.at += 1
        last = self.take()
        last = self.escaped() if last == "\\" else last
        return "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 500) + 1)))


def _range(count: re.Match[str]) -> tuple[int, int]:
    if count[1]:
        return {"*": (0, 3), "+": (1, 3), "?": (0, 1)}[count[1]]
    fewest = int(count[2])
    most = int(count[4]) if count[4] else (fewest + 2 if count[3] else fewest)
    return fewest, min(most, fewest + 20)


def _repeated(write: Write, times: int, rng: random.Random) -> str:
    made = ""
    for _ in range(min(times, _LONGEST + 1)):
        made += write(rng)
        if len(made) > _LONGEST:
            raise _NotPlain
    return made
