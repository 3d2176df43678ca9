"""What every case of `tests.cases` has to show, wherever it is played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from o2o.errors import O2OError
from tests.cases import Case, plain


def check_asked(case: Case, asked: Sequence[tuple[str, Mapping[str, Any]]], *, whole: bool) -> None:
    """Hold what Ollama was asked against a case; there a text that begins with ~ is one that has to be in it."""
    expected = case.asks(whole=whole)
    assert [path for path, _ in asked] == [ask.path for ask in expected]
    for (_, payload), ask in zip(asked, expected, strict=True):
        assert _as_expected(payload, ask.payload) == ask.payload


def matches(payload: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Tell whether a payload is the one that a case expects."""
    return bool(_as_expected(payload, expected) == expected)


def _as_expected(value: Any, expected: Any) -> Any:
    if isinstance(expected, str) and expected.startswith("~") and isinstance(value, str):
        return expected if expected[1:] in value else value
    if isinstance(expected, dict) and isinstance(value, Mapping):
        return {key: _as_expected(item, expected.get(key)) for key, item in value.items()}
    if isinstance(expected, list) and isinstance(value, list) and len(value) == len(expected):
        return [_as_expected(item, other) for item, other in zip(value, expected, strict=True)]
    return value


def check_error(case: Case, error: O2OError | None, *, whole: bool) -> None:
    """Hold a failure, or that there is none, against a case."""
    if case.error(whole=whole) is None:
        assert error is None, repr(error)
        return
    assert error is not None, "it should have failed"
    check_told(case, error.http_status, error.body()["error"], whole=whole)


def check_told(case: Case, status: int, said: Mapping[str, Any], *, whole: bool) -> None:
    """Hold the error that a caller gets against a case; a stream that has begun has the status 200."""
    expected = case.error(whole=whole)
    assert expected is not None
    assert said["code"] == expected["code"]
    assert said["param"] == expected["param"]
    assert status == (200 if status == 200 and not whole else expected["status"])
    for words in expected.get("says", ()):
        assert words in said["message"]


def check_choices(case: Case, choices: list[dict[str, Any]]) -> None:
    """Hold the choices of a stream against a case; those of a failed one end before the failure."""
    if case.get("said") is not None or choices:
        assert plain(choices) == plain(case.choices())
