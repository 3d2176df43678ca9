"""Regular expressions as llama.cpp's grammar can read them; none is ever run.

llama.cpp turns a `pattern` into a grammar by rules of its own: it must stand between `^` and `$`, escapes such as
`\\d` or `\\.` are misread or refused, `.` takes in quotes (and so the end of the string), a quantifier after an
escaped character repeats the whole word before it, and a look-around is dropped in silence. What it reads rightly
goes as it came; everything else is parsed here and written again with plain groups and character classes.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

MAX_LENGTH = 256
MAX_PARENS = 16
MAX_COUNT = 1_000
"""How often a piece may be repeated; llama.cpp gives up at 2,000."""


class Unsayable(ValueError):
    """The pattern means something that a grammar of llama.cpp cannot say; the text says what."""


def refusal(pattern: str) -> str | None:
    """Return why a pattern is out of bounds, or None."""
    if len(pattern) > MAX_LENGTH:
        return f"a pattern must not be longer than {MAX_LENGTH} characters"
    depth, before = 0, "("
    for piece in _TOKENS.findall(pattern):
        if piece.startswith(_LOOKS):
            return "a pattern must not look around"
        if _REPEAT.fullmatch(piece) and before in ("(", "|", "^"):
            return "a pattern must not have a quantifier with nothing before it"
        depth += piece.startswith("(") - (piece == ")")
        if depth > MAX_PARENS:
            return f"parentheses must not stand deeper than {MAX_PARENS} levels"
        before = "(" if piece.startswith("(") else piece
    return None


def anchored(pattern: str) -> str:
    """Return a pattern of the same meaning that llama.cpp reads as it is meant; raises Unsayable.

    Where a class or `.` takes in characters that JSON writes as escapes (quotes, backslashes, control
    characters), the returned pattern leaves those out.
    """
    reason = refusal(pattern)
    if reason is not None:
        raise Unsayable(reason)
    parser = _Parser(pattern)
    branches = parser.parse()
    edges = [_edges(branch) for branch in branches]
    said = [_between(branch, *edge) for branch, edge in zip(branches, edges, strict=True)]
    if parser.plain and edges == [(True, True)]:
        return pattern
    return f"^{said[0]}$" if len(said) == 1 else f"^({'|'.join(said)})$"


# --- what a pattern consists of

_ESCAPE = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
_TOKENS = re.compile(
    _ESCAPE
    + r"|\[(?:\\.|[^\]\\])*\]"  # a class
    + r"|\(\?(?:<?[=!]|:|P?<[A-Za-z_]\w*>)?|\("  # what opens a group
    + r"|\{(?:\d+(?:,\d*)?|,\d+)\}"  # a quantifier; any other brace is a character
    + r"|.",
    re.DOTALL,
)
_IN_CLASS = re.compile(_ESCAPE + "|.", re.DOTALL)
_REPEAT = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")
_SIMPLE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _,:;/@#%&=<>!~'`"
_ALONE = frozenset(_SIMPLE + "-")
"""Characters that mean themselves, to everyone, outside a class."""
_INSIDE = frozenset(_SIMPLE + ".(){}*+?|$")
"""Characters that mean themselves, to everyone, inside a class."""

Ranges: TypeAlias = "tuple[tuple[int, int], ...]"
"""Characters as sorted ranges of code points, both ends included."""


class _Set(NamedTuple):
    ranges: Ranges


class _Edge(NamedTuple):
    is_end: bool


class _Group(NamedTuple):
    branches: list[list[_Item]]


class _Repeat(NamedTuple):
    item: _Set | _Group
    least: int
    most: int | None


_Item: TypeAlias = "_Set | _Edge | _Group | _Repeat"


class _Parser:
    """Parse ECMA's regular expressions, and the common ones of others."""

    def __init__(self, pattern: str) -> None:
        self.pieces = _TOKENS.findall(pattern)
        self.at = 0
        self.plain = True
        """Whether llama.cpp reads every piece so far as it is meant."""

    def parse(self) -> list[list[_Item]]:
        branches = self._branches()
        if self.at < len(self.pieces):
            raise Unsayable("its parentheses are not balanced")
        return branches

    def _branches(self) -> list[list[_Item]]:
        branches: list[list[_Item]] = [[]]
        while self.at < len(self.pieces) and self.pieces[self.at] != ")":
            piece = self.pieces[self.at]
            self.at += 1
            if piece == "|":
                branches.append([])
            elif _REPEAT.fullmatch(piece):
                self._repeat(branches[-1], piece)
            else:
                branches[-1].append(self._item(piece))
        return branches

    def _repeat(self, items: list[_Item], piece: str) -> None:
        item = items.pop() if items else None
        if isinstance(item, _Repeat) and piece == "?":  # lazy: the same words
            self.plain = False
            items.append(item)
            return
        if not isinstance(item, (_Set, _Group)):
            raise Unsayable("a quantifier has nothing to repeat")
        least, most = self._counts(piece)
        if most is None and _may_be_empty(item):
            raise Unsayable("it repeats without end what may be empty")
        if most == 0:
            self.plain = False
        else:
            items.append(_Repeat(item, least, most))

    def _counts(self, piece: str) -> tuple[int, int | None]:
        if piece in _SIGNS:
            return _SIGNS[piece]
        match = _REPEAT.fullmatch(piece)
        assert match is not None
        low, comma, high = match.groups()
        self.plain = self.plain and low != ""
        least = int(low or 0)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > MAX_COUNT:
            raise Unsayable(f"it repeats something more than {MAX_COUNT} times")
        if most is not None and most < least:
            raise Unsayable("a quantifier ends before it begins")
        return least, most

    def _item(self, piece: str) -> _Item:
        if piece in ("^", "$"):
            return _Edge(piece == "$")
        if piece.startswith("("):
            return self._group(piece)
        if piece == ".":
            self.plain = False
            return _Set(_DRAWABLE)
        if piece.startswith("[") and len(piece) > 1:
            return self._class(piece)
        if piece.startswith("\\"):
            self.plain = False
            return _Set(_drawable(_escaped(piece)))
        self.plain = self.plain and piece in _ALONE
        return _Set(_drawable(((ord(piece), ord(piece)),)))

    def _group(self, piece: str) -> _Group:
        if piece == "(?":
            raise Unsayable("groups with flags cannot be said")
        self.plain = self.plain and piece == "("
        branches = self._branches()
        if self.at == len(self.pieces):
            raise Unsayable("its parentheses are not balanced")
        self.at += 1
        return _Group(branches)

    def _class(self, text: str) -> _Set:
        negated = text.startswith("[^")
        pieces = _IN_CLASS.findall(text[1 + negated : -1])
        ranges: list[tuple[int, int]] = []
        at = 0
        while at < len(pieces):
            piece = _character(pieces[at])
            self.plain = self.plain and (
                pieces[at] in _INSIDE or (pieces[at] == "-" and at in (0, len(pieces) - 1))
            )
            at += 1
            last = _character(pieces[at + 1]) if pieces[at : at + 1] == ["-"] and at + 1 < len(pieces) else ()
            if _is_one(piece) and _is_one(last):  # otherwise `-` means itself
                if last < piece:
                    raise Unsayable("a range in a class is upside down")
                self.plain = self.plain and pieces[at + 1] in _INSIDE
                piece = ((piece[0][0], last[0][0]),)
                at += 2
            ranges += piece
        wanted = _merged(ranges)
        found = _drawable(_others(wanted) if negated else wanted)
        self.plain = self.plain and found == wanted
        return _Set(found)


_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def _may_be_empty(item: _Item) -> bool:
    if isinstance(item, _Group):
        return any(all(_may_be_empty(part) for part in branch) for branch in item.branches)
    if isinstance(item, _Repeat):
        return item.least == 0 or _may_be_empty(item.item)
    return isinstance(item, _Edge)


# --- characters


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def _others(ranges: Ranges) -> Ranges:
    found = []
    begin = 0
    for low, high in ranges:
        if low > begin:
            found.append((begin, low - 1))
        begin = high + 1
    if begin <= _LAST:
        found.append((begin, _LAST))
    return tuple(found)


def _drawable(ranges: Ranges) -> Ranges:
    """Return those of the characters that stand for themselves in JSON's text; raises Unsayable if none does."""
    found = _others(_merged([*_others(ranges), *_ESCAPED]))
    if not found:
        raise Unsayable("it needs characters that JSON writes as escapes, or none at all")
    return found


_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_ESCAPED = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), _SURROGATES)
_DRAWABLE = _others(_ESCAPED)
_DIGITS = ((0x30, 0x39),)
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
_CLASSES = {
    "d": _DIGITS,
    "D": _others(_DIGITS),
    "w": _WORD,
    "W": _others(_WORD),
    "s": _SPACE,
    "S": _others(_SPACE),
}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0x00}


def _character(piece: str) -> Ranges:
    return _escaped(piece) if len(piece) > 1 else ((ord(piece), ord(piece)),)


def _is_one(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def _escaped(piece: str) -> Ranges:
    name = piece[1:]
    if name in _CLASSES:
        return _CLASSES[name]
    if name in _CONTROLS:
        code = _CONTROLS[name]
    elif len(name) > 1:
        code = int(name[1:], 16)
    elif not name or name.isalnum():
        raise Unsayable(f"the escape '{piece}' cannot be said")
    else:
        code = ord(name)
    return ((code, code),)


# --- writing it again


_ANYTHING = _Repeat(_Set(_DRAWABLE), 0, None)


def _edges(branch: list[_Item]) -> tuple[bool, bool]:
    return branch[:1] == [_Edge(False)], branch[-1:] == [_Edge(True)]


def _between(branch: list[_Item], begins: bool, ends: bool) -> str:
    """Write a branch that has to match a whole text, with anything around it where it is open."""
    items = branch[begins : len(branch) - ends]
    if not begins and items[:1] != [_ANYTHING]:
        items.insert(0, _ANYTHING)
    if not ends and items[-1:] != [_ANYTHING]:
        items.append(_ANYTHING)
    return _all(items)


def _all(items: list[_Item]) -> str:
    return "".join(map(_say, items))


def _say(item: _Item) -> str:
    if isinstance(item, _Set):
        low, high = item.ranges[0]
        alone = len(item.ranges) == 1 and low == high and chr(low) in _ALONE
        return chr(low) if alone else _say_class(item.ranges)
    if isinstance(item, _Group):
        return f"({'|'.join(map(_all, item.branches))})"
    if isinstance(item, _Repeat):
        return _say(item.item) + _say_counts(item.least, item.most)
    raise Unsayable("it has '^' or '$' in its middle")


def _say_counts(least: int, most: int | None) -> str:
    for sign, counts in _SIGNS.items():
        if counts == (least, most):
            return sign
    if most is None:
        return f"{{{least},}}"
    return f"{{{least}}}" if least == most else f"{{{least},{most}}}"


def _say_class(ranges: Ranges) -> str:
    if ranges[-1][1] < _LAST:
        return f"[{_say_ranges(ranges)}]"
    return f"[^{_say_ranges(_others(_merged([*ranges, _SURROGATES])))}]"


def _say_ranges(ranges: Ranges) -> str:
    said = []
    for low, high in ranges:
        said.append(_say_code(low))
        if high > low:
            said.append(("-" if high > low + 1 else "") + _say_code(high))
    return "".join(said)


def _say_code(code: int) -> str:
    # llama.cpp knows \\xHH in a class, and passes what is beyond ASCII as it is.
    return chr(code) if code > 0x7F or chr(code) in _INSIDE else f"\\x{code:02X}"
