"""The caller's own beginning of an answer, which Ollama's native path repeats in front of what comes; pure."""

from __future__ import annotations


class Prefill:
    """Take the caller's beginning away where an answer repeats it; a text that does not goes through as it is."""

    __slots__ = ("_expected", "_taken")

    def __init__(self, text: str) -> None:
        self._expected = text
        self._taken = ""

    def feed(self, text: str) -> str:
        """Take a piece of the answer; return what of it is new."""
        expected = self._expected
        if not expected:
            return text
        if expected.startswith(text) and expected != text:
            self._expected = expected[len(text) :]
            self._taken += text
            return ""
        new = text[len(expected) :] if text.startswith(expected) else self._taken + text
        self._expected = self._taken = ""
        return new

    def close(self) -> str:
        """Take the end of the answer; return what began like a repetition and was none."""
        taken, self._taken, self._expected = self._taken, "", ""
        return taken
