"""Recordings of a real Ollama: load them, and serve them again byte for byte, cut as a test wants them."""

from __future__ import annotations

import base64
import json
import random
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from o2o.practice import Exchange
from tests.ollama import FakeOllama, hang_up

FOLDER = Path(__file__).parent / "recordings"

Recording = dict[str, Any]
"""One file of tests/recordings, in the format of its README."""

Cuts = Literal["recorded", "whole", "bytes", "random"]
"""How a body is cut: into the reads that were recorded, not at all, into single bytes, or anywhere."""


def names(group: str | None = None) -> list[str]:
    """Return the names of all recordings, or of one group, in the form that `load` takes: `group/name`."""
    found = sorted(FOLDER.glob(f"{group or '*'}/*.json"))
    return [f"{path.parent.name}/{path.stem}" for path in found]


@lru_cache(maxsize=64)
def _text(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def load(name: str) -> Recording:
    """Return the recording `group/name`; each call returns a fresh copy."""
    recording: Recording = json.loads(_text(name))
    return recording


def reads(recording: Recording, exchange: int = 0) -> list[bytes]:
    """Return the body of an answer as it was read, piece by piece, without the framing of chunks."""
    entries = recording["exchanges"][exchange]["response"]["body"]
    return [_bytes(entry) for _, entry in entries]


def replies_bytes(recording: Recording, exchange: int = 0) -> bytes:
    """Return the whole body of an answer."""
    return b"".join(reads(recording, exchange))


def replies(recording: Recording, exchange: int = 0) -> list[Any]:
    """Return the JSON objects of an answer, one a line."""
    return [json.loads(line) for line in replies_bytes(recording, exchange).splitlines() if line.strip()]


def status(recording: Recording, exchange: int = 0) -> int:
    """Return the HTTP status of an answer."""
    line: str = recording["exchanges"][exchange]["response"]["status_line"]
    return int(line.split()[1])


def headers(recording: Recording, exchange: int = 0) -> dict[str, str]:
    """Return the headers of an answer, their names in small letters."""
    pairs = recording["exchanges"][exchange]["response"]["headers"]
    return {name.lower(): value for name, value in pairs}


def request(recording: Recording, exchange: int = 0) -> tuple[str, str, bytes]:
    """Return what was asked: method, path, body."""
    asked = recording["exchanges"][exchange]["request"]
    return asked["method"], asked["path"], _bytes(asked["body"] or "")


def _bytes(entry: str | dict[str, str]) -> bytes:
    return entry.encode() if isinstance(entry, str) else base64.b64decode(entry["base64"])


def cut(data: bytes, cuts: Literal["whole", "bytes", "random"], seed: int = 0) -> list[bytes]:
    """Return `data` in pieces that join to it again."""
    if cuts == "whole":
        return [data] if data else []
    if cuts == "bytes":
        return [data[at : at + 1] for at in range(len(data))]
    chance = random.Random(seed)
    places = sorted(chance.sample(range(1, len(data)), min(len(data) // 7, len(data) - 1))) if data else []
    return [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if start < end
    ]


class ReplayServer(FakeOllama):
    """A server that answers with recordings: head and body byte for byte, each piece a chunk and a write of its own.

    The requests for one method and path get the recorded answers to it in order, the last of them again and again;
    what was not recorded, the practice upstream answers.
    """

    def __init__(self, *recordings: Recording | str, cuts: Cuts = "recorded", seed: int = 0) -> None:
        super().__init__()
        self.cuts = cuts
        self.seed = seed
        self._exchanges: dict[tuple[str, str], list[tuple[Recording, int]]] = defaultdict(list)
        for given in recordings:
            recording = load(given) if isinstance(given, str) else given
            for index in range(len(recording["exchanges"])):
                method, path, _ = request(recording, index)
                self._exchanges[method, path].append((recording, index))

    def unscripted(self, handler: Exchange, method: str, path: str, body: bytes) -> None:
        """Replay the next recorded answer."""
        recorded = self._exchanges.get((method, path))
        if not recorded:
            super().unscripted(handler, method, path, body)
            return
        recording, index = recorded.pop(0) if len(recorded) > 1 else recorded[0]
        response = recording["exchanges"][index]["response"]
        self._send_head(handler, recording, index)
        for piece in self._pieces(recording, index):
            handler.write(piece)
        if response["end"].startswith("clean"):
            handler.end()
        else:
            hang_up(handler, reset=response["end"].startswith("reset"))

    def _send_head(self, handler: Exchange, recording: Recording, index: int) -> None:
        response = recording["exchanges"][index]["response"]
        lines = [response["status_line"]]
        for name, value in response["headers"]:
            length = name.lower() == "content-length" and handler.command != "HEAD"
            # A body that was shortened afterwards no longer has its recorded length.
            lines.append(f"{name}: {len(replies_bytes(recording, index)) if length else value}")
        handler.chunked = response["framing"] == "chunked"
        handler.send_raw("".join(f"{line}\r\n" for line in [*lines, ""]).encode())

    def _pieces(self, recording: Recording, index: int) -> list[bytes]:
        if self.cuts == "recorded":
            return reads(recording, index)
        return cut(replies_bytes(recording, index), self.cuts, self.seed)
