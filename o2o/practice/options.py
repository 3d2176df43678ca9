"""The `options` of a request: Ollama reads them later than the rest, and complains with a 500."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from o2o.practice.faults import Fault
from o2o.practice.gojson import kind

_INTEGERS = frozenset("num_ctx num_batch num_gpu main_gpu num_thread num_keep seed num_predict top_k".split())
_INTEGERS |= {"repeat_last_n", "draft_num_predict"}
_FLOATS = frozenset(
    "top_p min_p typical_p temperature repeat_penalty presence_penalty frequency_penalty".split()
)


def check(options: Mapping[str, Any]) -> None:
    """Raise Ollama's 500 for an option of the wrong type; unknown ones are ignored, like null."""
    for name, value in options.items():
        wanted = _option_type(name)
        if value is None or not wanted:
            continue
        if wanted == "array":
            _check_stop(name, value)
        elif kind(value) != ("bool" if wanted == "boolean" else "number"):
            raise Fault(500, f'option "{name}" must be of type {wanted}')


def _option_type(name: str) -> str:
    if name in _INTEGERS:
        return "integer"
    if name in _FLOATS:
        return "float32"
    return {"stop": "array", "use_mmap": "boolean"}.get(name, "")


def _check_stop(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise Fault(500, f'option "{name}" must be of type array')
    if not all(isinstance(item, str) for item in value):
        raise Fault(500, f'option "{name}" must be of an array of strings')
