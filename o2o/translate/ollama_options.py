"""The keys of Ollama's `options`: which there are, of which type, and what a value may be.

Ollama ignores keys it does not know, answers 500 to wrong types, and runs with values that make no sense
(a window of 3 tokens for `num_ctx: 0`), so all three are caught here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from o2o.errors import BadRequest, clip

_INT32 = 2**31 - 1
# Ollama turns floats into float32, where more is infinite and an error of its runner.
_FLOAT32 = 3.4e38


class Kind(NamedTuple):
    """The type of an option and the smallest value that makes sense; None for no bound."""

    type: type
    least: int | None = None


OPTIONS: dict[str, Kind] = {
    "temperature": Kind(float),
    "top_p": Kind(float),
    "top_k": Kind(int),
    "min_p": Kind(float),
    "typical_p": Kind(float),
    "repeat_last_n": Kind(int),
    "repeat_penalty": Kind(float),
    "presence_penalty": Kind(float),
    "frequency_penalty": Kind(float),
    "seed": Kind(int),
    "stop": Kind(list),
    "num_predict": Kind(int),
    "num_keep": Kind(int),
    "num_ctx": Kind(int, 1),
    "num_batch": Kind(int, 1),
    "num_gpu": Kind(int, -1),
    "main_gpu": Kind(int, -1),
    "num_thread": Kind(int, 0),
    "use_mmap": Kind(bool),
    "draft_num_predict": Kind(int, 0),
}

RUNNER = frozenset(
    {"num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "draft_num_predict"}
)
"""Options that make Ollama load a model anew when they differ from what it is loaded with."""

GONE = frozenset(
    {
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "tfs_z",
        "penalize_newline",
        "low_vram",
        "f16_kv",
        "use_mlock",
        "numa",
        "vocab_only",
        "logits_all",
    }
)
"""Options that Ollama had before 0.7 and ignores today."""


def check_option(name: str, value: Any, param: str) -> Any:
    """Return the value of the option `name` as Ollama takes it.

    Raises BadRequest on a wrong type or an impossible value; `param` is where the caller wrote it.
    """
    kind = OPTIONS[name]
    if kind.type is list:
        return _strings(value, param)
    if kind.type is bool:
        if not isinstance(value, bool):
            raise wrong_type(param, "a boolean", value)
        return value
    if kind.type is float:
        return _number(value, param)
    number = _integer(value, param)
    if name == "seed":
        return number if number == -1 else seed(number)
    if name == "num_predict":
        return _tokens(number, param)
    if kind.least is not None and number < kind.least:
        raise too_small(param, kind.least, number)
    if abs(number) > _INT32:
        raise BadRequest(
            f"Invalid '{param}': integer out of range. Expected a value between -{_INT32} and {_INT32}.",
            code="integer_above_max_value" if number > 0 else "integer_below_min_value",
            param=param,
        )
    return number


def seed(number: int) -> int:
    """Return the 31 bits of a seed: beyond them Ollama sees random (-1, 2^32-1) or another number."""
    return number & _INT32


def seed_of(seed: int, k: int) -> int:
    """Return the seed of the answer `k` to one request: one more for each, so that they differ; random stays so."""
    return seed if seed < 0 or k == 0 else (seed + k) & _INT32


def wrong_type(param: str, expected: str, value: Any) -> BadRequest:
    """Return the error for a value of another JSON type."""
    return BadRequest(
        f"Invalid type for '{param}': expected {expected}, but got {_kind_of(value)} instead.",
        code="invalid_type",
        param=param,
    )


def too_small(param: str, least: int, value: int) -> BadRequest:
    """Return the error for an integer below `least`."""
    return BadRequest(
        f"Invalid '{param}': integer below minimum value. Expected a value >= {least}, "
        f"but got {clip(str(value), 40)} instead.",
        code="integer_below_min_value",
        param=param,
    )


def _tokens(number: int, param: str) -> int:
    # For Ollama 0 is "no limit" or "one token", depending on the model.
    if number == 0:
        raise too_small(param, 1, 0)
    return -1 if number < 0 else min(number, _INT32)


def _strings(value: Any, param: str) -> list[str]:
    strings = [value] if isinstance(value, str) else value
    if not isinstance(strings, list) or not all(isinstance(item, str) for item in strings):
        raise wrong_type(param, "a string or an array of strings", value)
    return strings


def _number(value: Any, param: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(param, "a number", value)
    # Comparing also catches integers that no float can hold.
    if not -_FLOAT32 <= value <= _FLOAT32:
        raise BadRequest(
            f"Invalid '{param}': number out of range.",
            code="decimal_above_max_value" if value > 0 else "decimal_below_min_value",
            param=param,
        )
    return value


def _integer(value: Any, param: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(param, "an integer", value)
    return value


def _kind_of(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
        type(None): "null",
    }
    return names.get(type(value), "something else")
