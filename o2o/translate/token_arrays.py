"""Token arrays in `prompt` and `input` -> text, where somebody can read them; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from o2o.errors import BadRequest, clip

Decode = Callable[[Iterable[int]], str]
"""Gives the text of token numbers; raises KeyError for a number that is no token."""


def as_text(given: Any, param: str, decode: Decode | None) -> Any:
    """Return `given` with texts in place of token arrays, if there is something to `decode` them with.

    `given` has passed validation: one text, texts, one array of numbers, or several. Raises BadRequest for a
    number that is no token, with its path.
    """
    if decode is None or not isinstance(given, list) or not given:
        return given
    if isinstance(given[0], list):
        return [_text(numbers, f"{param}[{at}]", decode) for at, numbers in enumerate(given)]
    return given if isinstance(given[0], str) else _text(given, param, decode)


def _text(numbers: list[int], param: str, decode: Decode) -> str:
    try:
        return decode(numbers)
    except KeyError as error:
        number = error.args[0]
        raise BadRequest(
            f"Invalid '{param}': {clip(str(number), 40)} is no token of cl100k_base, in which token arrays are read.",
            code="invalid_value",
            param=f"{param}[{numbers.index(number)}]",
        ) from error
