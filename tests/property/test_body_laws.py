"""The fast parser of bodies accepts, refuses and means the same as a plain one."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example, given, strategies as st

from o2o.body import MAX_DEPTH, MAX_DIGITS, parse
from o2o.errors import BadRequest

REFUSED = "refused"


def _plain(raw: bytes) -> Any:
    """Parse slowly, in the words of the specification; ValueError for what is refused."""
    text = raw.decode("utf-8")
    if text.startswith("\ufeff"):
        raise ValueError("byte order mark")
    value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_no_constant)
    _check(value, 1)
    return value


def _integer(literal: str) -> int:
    _count(literal)
    return int(literal)


def _number(literal: str) -> float:
    _count(literal)
    if math.isinf(float(literal)):
        raise ValueError("too large")
    return float(literal)


def _count(literal: str) -> None:
    if sum(character.isdigit() for character in literal) > MAX_DIGITS:
        raise ValueError("too many digits")


def _no_constant(literal: str) -> None:
    raise ValueError(literal)


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, (list, dict)):
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
        for child in value:
            _check(child, depth + 1)
            if isinstance(value, dict):
                _check(value[child], depth + 1)


def _outcome(parser: Any, raw: bytes, refusal: type[Exception] | tuple[type[Exception], ...]) -> str:
    try:
        return repr(parser(raw))  # repr tells 1 from 1.0 from True, and -0.0 from 0.0
    except refusal:
        return REFUSED


def _agree(raw: bytes) -> str:
    ours = _outcome(parse, raw, BadRequest)
    assert ours == _outcome(_plain, raw, (ValueError, RecursionError))
    return ours


_NUMBERS = st.one_of(
    st.integers(),
    st.integers(min_value=10**300, max_value=10 ** (MAX_DIGITS + 3)),
    st.floats(allow_nan=False, allow_infinity=False),
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(), st.text("0123456789eE+-.", max_size=600)),
    lambda children: st.one_of(st.lists(children), st.dictionaries(st.text(), children)),
    max_leaves=20,
)
_TEXTS = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(),
    _VALUES,
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)
_WORDS = r'{ } [ ] , : " \ \u d800 dc00 \ud83d \ude00 0 1 - + . e E9 999 null true NaN Infinity "a": é 😀'
_ODD = [" ", "\n", "\t", "\x0b", "\x00", "\x7f", "\ufeff", "\u2028"]
_HEAVY = ["1" * 150, "0" * 37, "[" * 30, "]" * 30, '{"a":' * 30, "}" * 30]
_TOKENS = st.sampled_from([*_WORDS.split(), *_ODD, *_HEAVY])


@given(_TEXTS)
def test_every_json_text_means_the_same_to_both(raw: bytes) -> None:
    _agree(raw)


@given(_TEXTS, st.data())
def test_both_refuse_the_same_of_what_was_damaged(raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 4)))
    patch = data.draw(st.one_of(st.binary(max_size=4), _TOKENS.map(str.encode)))
    _agree(raw[:start] + patch + raw[end:])


@given(st.lists(_TOKENS, max_size=12).map("".join).map(str.encode))
@example(b'"\\ud83d\\ude00"')
@example(b'"\\ud83d\\u0041"')
@example(b'"\\ud83d\\ud83d\\ude00"')
@example(b'"\\uD83Dx"')
def test_both_agree_on_heaps_of_tokens(raw: bytes) -> None:
    _agree(raw)


@given(st.binary(max_size=40))
def test_both_agree_on_any_bytes(raw: bytes) -> None:
    _agree(raw)
    _agree(b'"' + raw + b'"')


@given(st.integers(1, MAX_DEPTH + 5), st.lists(st.booleans(), min_size=MAX_DEPTH + 5, max_size=MAX_DEPTH + 5))
def test_the_depth_is_counted_the_same(depth: int, kinds: list[bool]) -> None:
    text = "1"
    for is_object in kinds[: depth - 1]:
        text = f'{{"a":{text}}}' if is_object else f"[0,{text}]"
    assert (_agree(f"[{text}]".encode()) == REFUSED) is (depth > MAX_DEPTH)


@given(
    st.text("0123456789", min_size=1, max_size=500),
    st.text("0123456789", min_size=1, max_size=500),
    st.integers(0, 50),
)
def test_digits_are_counted_the_same(whole: str, fraction: str, offset: int) -> None:
    literal = f"{int(whole)}.{fraction}" if int(whole) < 10**300 else f"1{whole}"
    raw = " " * offset + f'{{"a":[{literal}], "{literal}": "{literal}"}}'
    digits = sum(character.isdigit() for character in literal)
    assert (_agree(raw.encode()) == REFUSED) is (digits > MAX_DIGITS)
