"""What is asked of every row: the requests, how many at once and for how long, and what a right answer is.

Two kinds of scenarios: those in SCENARIOS are loads on a running row, taken in turns; those of `fresh.py` each start
their row anew.
"""

from __future__ import annotations

import base64
import random
import struct
import zlib
from dataclasses import dataclass
from typing import Any

SMALL = "t20b20"
"""A whole answer of 20 tokens, 0.6 KB, written at once."""

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Scenario:
    """One load. `rounds` and `quick` are how often it is measured in a full and in a quick run."""

    name: str
    kind: str
    """whole, big, vision, stream, tools, thinking, logprobs, embed or base64: the request and the check."""
    model: str
    shows: tuple[tuple[str, str], ...]
    """Which values the table shows, with their units."""
    concurrency: int = 1
    seconds: float = 0
    requests: int = 0
    ramp: float = 0
    cap: float = 15
    rounds: int = 5
    quick: int = 0
    slow: bool = False
    """Whether rows that no goal asks for are measured here only once, and not at all in a quick run."""
    size: int = 0
    """Bytes of the image in base64."""

    @property
    def tokens(self) -> int:
        """How many tokens the model's name asks for."""
        return _number(self.model, "t")

    @property
    def numbers(self) -> int:
        """How many numbers an embedding answer has."""
        rows, dims = self.shape
        return rows * dims

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimensions of an embedding answer."""
        rows, dims = self.model.removeprefix("e").split("x")
        return int(rows), int(dims)


RATE = (
    ("rps", "/s"),
    ("latency_p50_ms", "ms p50"),
    ("latency_p99_ms", "p99"),
    ("cpu_us_per_request", "µs CPU"),
)
BURST = (("tokens_per_s", "tokens/s"), ("cpu_us_per_token", "µs CPU"))
PACED = (
    ("complete", "complete"),
    ("cpu_us_per_token", "µs CPU/token"),
    ("ttft_p50_ms", "ms TTFT p50"),
    ("token_p50_ms", "token p50"),
    ("token_p99_ms", "p99"),
)
WALL = (("latency_p50_ms", "ms p50"), ("cpu_us_per_request", "µs CPU"))

SCENARIOS = (
    Scenario("small-1", "whole", SMALL, RATE, 1, 0.5),
    Scenario("small-16", "whole", SMALL, RATE, 16, 0.8, quick=5),
    Scenario("small-64", "whole", SMALL, RATE, 64, 0.8),
    Scenario("big-1", "big", SMALL, RATE, 1, 0.5, rounds=3),
    Scenario("big-4", "big", SMALL, RATE, 4, 0.6, quick=5),
    Scenario("burst-1", "stream", "t1000", BURST, 1, 0.5, rounds=3),
    Scenario("burst-16", "stream", "t1000", BURST, 16, 0.6, quick=5),
    Scenario("burst-64", "stream", "t500", BURST, 64, 0.6, rounds=3),
    Scenario("burst-16-b32", "stream", "t1600b32", BURST, 16, 0.6),
    Scenario("paced-1", "stream", "t60d20", PACED, 1, requests=1, rounds=3),
    Scenario("paced-100", "stream", "t80d20", PACED, 100, requests=100, ramp=0.5, quick=3),
    Scenario("paced-500", "stream", "t100d20", PACED, 500, requests=500, ramp=2.5, cap=9, slow=True),
    Scenario(
        "paced-1000",
        "stream",
        "t200d20",
        PACED,
        1000,
        requests=1000,
        ramp=5,
        cap=13,
        rounds=2,
        quick=1,
        slow=True,
    ),
    Scenario("ttft", "stream", "t5d10", PACED, 1, requests=40),
    Scenario("embed-1x768", "embed", "e1x768", WALL, 1, 0.3, rounds=3),
    Scenario("embed-256x768", "embed", "e256x768", WALL, 1, 0.4, rounds=3),
    Scenario("embed-2048x1024", "embed", "e2048x1024", WALL, 1, 0.5, quick=5),
    Scenario("base64-1x768", "base64", "e1x768", WALL, 1, 0.3, rounds=3),
    Scenario("base64-256x768", "base64", "e256x768", WALL, 1, 0.4, rounds=3),
    Scenario("base64-2048x1024", "base64", "e2048x1024", WALL, 1, 0.5),
    Scenario("vision-1mb", "vision", SMALL, WALL, 1, 0.3, rounds=3, size=MEGABYTE),
    Scenario("vision-10mb", "vision", SMALL, WALL, 1, 0.5, size=10 * MEGABYTE),
    Scenario("tools", "tools", "t40c8", BURST, 16, 0.4, rounds=3, quick=1),
    Scenario("thinking", "thinking", "t200h100", BURST, 16, 0.4, rounds=3, quick=1),
    Scenario("logprobs", "logprobs", "t100l2", BURST, 16, 0.4, rounds=3, quick=1),
)


def _number(model: str, letter: str) -> int:
    digits = model.partition(letter)[2]
    end = next((i for i, char in enumerate(digits) if not char.isdigit()), len(digits))
    return int(digits[:end]) if digits[:end] else 0


# ---- requests ----


def path(scenario: Scenario, shape: str) -> str:
    """Return the path that a row of this shape serves the scenario on."""
    embeds = scenario.kind in {"embed", "base64"}
    if shape == "native":
        return "/api/embed" if embeds else "/api/chat"
    return "/v1/embeddings" if embeds else "/v1/chat/completions"


def body(scenario: Scenario, shape: str) -> dict[str, Any]:
    """Return the request's JSON for a row of this shape."""
    if scenario.kind in {"embed", "base64"}:
        inputs = [f"sentence number {i} of this batch" for i in range(scenario.shape[0])]
        wish = (
            {}
            if shape == "native"
            else {"encoding_format": "float" if scenario.kind == "embed" else "base64"}
        )
        return {"model": scenario.model, "input": inputs, **wish}
    asked: dict[str, Any] = {
        "model": scenario.model,
        "messages": _messages(scenario, shape),
        "stream": scenario.kind not in {"whole", "big", "vision"},
    }
    if scenario.kind in {"big", "tools"}:
        asked["tools"] = [_tool(i) for i in range(20 if scenario.kind == "big" else 1)]
    if scenario.kind == "logprobs":
        asked |= {"logprobs": True, "top_logprobs": 2}
    return asked


def _messages(scenario: Scenario, shape: str) -> list[dict[str, Any]]:
    if scenario.kind == "big":
        return [_long_message(i) for i in range(200)]
    if scenario.kind == "vision":
        return [_image_message(scenario.size, shape)]
    return [
        {"role": "system", "content": "You are a helpful assistant. Answer briefly."},
        {"role": "assistant", "content": "Hello! How can I help?"},
        {"role": "user", "content": "Why is the sky blue? Explain it to a child, please."},
    ]


def _long_message(i: int) -> dict[str, Any]:
    role = "system" if i == 0 else "user" if i % 2 else "assistant"
    return {
        "role": role,
        "content": f"Message {i} of a long conversation: " + "what was said, word by word. " * 3,
    }


def _image_message(size: int, shape: str) -> dict[str, Any]:
    image = base64.b64encode(_png(size * 3 // 4)).decode()
    if shape == "native":
        return {"role": "user", "content": "What is this?", "images": [image]}
    url = {"url": f"data:image/png;base64,{image}"}
    return {
        "role": "user",
        "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": url}],
    }


def _png(size: int) -> bytes:
    """Return a PNG of 1024x1024 pixels whose pixels are noise: headers and checksums are right, nothing decodes it."""
    about = struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0)
    pixels = random.Random(1).randbytes(size - 57)
    return b"\x89PNG\r\n\x1a\n" + _piece(b"IHDR", about) + _piece(b"IDAT", pixels) + _piece(b"IEND", b"")


def _piece(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _tool(i: int) -> dict[str, Any]:
    properties = {
        "text": {"type": "string", "description": "What the note says, in full sentences."},
        "page": {"type": "integer", "description": "The page on which it is written.", "minimum": 0},
        "kind": {"type": "string", "enum": ["plain", "important", "private"]},
    }
    parameters = {"type": "object", "properties": properties, "required": ["text"]}
    name = f"write_note_{i}" if i else "write_note"
    return {
        "type": "function",
        "function": {"name": name, "description": "Write a note into the book.", "parameters": parameters},
    }


# ---- checks ----


def checks(scenario: Scenario, shape: str, row: str) -> list[str]:
    """Return the load generator's options that say what a right answer is."""
    if scenario.kind in {"embed", "base64"}:
        return _embedding_checks(scenario, shape, row)
    streams = "ndjson" if shape == "native" else "sse"
    kind = "whole" if scenario.kind in {"whole", "big", "vision"} else streams
    options = ["--check", kind, "--tokens", str(scenario.tokens)]
    return [*options, "--logprobs", "1"] if scenario.kind == "logprobs" else options


def _embedding_checks(scenario: Scenario, shape: str, row: str) -> list[str]:
    rows, dims = scenario.shape
    least = rows * 4 * ((4 * dims + 2) // 3)  # what base64 of 32-bit floats takes; text takes more
    if scenario.kind == "base64" and row == "litellm":  # it answers in numbers whatever was asked
        dots = -1
    elif scenario.kind == "base64" and shape == "openai":
        dots = 0
    else:
        dots = scenario.numbers
    return ["--check", "bytes", "--dots", str(dots), "--min-bytes", str(least)]
