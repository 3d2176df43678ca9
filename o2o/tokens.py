"""Token numbers of OpenAI's clients -> text, with the vocabulary that tiktoken keeps on this machine.

LangChain's `OpenAIEmbeddings` and older tools send numbers of `cl100k_base` instead of text. Reading them takes
nothing but the vocabulary's own file, one `base64 number` a line; it is never fetched, and tiktoken itself is not
needed.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable
from pathlib import Path

# tiktoken calls the files of its cache by the SHA-1 of the address that they came from.
_NAMES = ("9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "cl100k_base.tiktoken")
_FIRST_LINE = re.compile(rb"[A-Za-z0-9+/]+=* 0\r?\n")


class Vocabulary:
    """The words of `cl100k_base`; read when it is first needed, safe for threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._words: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text that was cut into these tokens; raises KeyError for a number that is no word."""
        with self._lock:
            if not self._words:
                self._words = _read(self._path)
        # A text may have been cut in the middle of a letter.
        return b"".join(map(self._words.__getitem__, numbers)).decode("utf-8", "replace")


def find(folder: str | None) -> Vocabulary | None:
    """Return the vocabulary in tiktoken's folder, or None where there is none."""
    if folder is None:
        return None
    for name in _NAMES:
        path = Path(folder) / name
        try:
            with path.open("rb") as file:
                if _FIRST_LINE.fullmatch(file.readline(1000)):
                    return Vocabulary(path)
        except OSError:
            continue
    return None


def _read(path: Path) -> dict[int, bytes]:
    lines = (line.split() for line in path.read_bytes().splitlines())
    return {int(number): base64.b64decode(word) for word, number in filter(None, lines)}
