"""Embeddings without a model: hashed words and letter triples, so that similar texts are near."""

from __future__ import annotations

import hashlib
import math
import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any

from o2o.practice.faults import Fault
from o2o.practice.tokens import count, pieces

DIMENSIONS = 384
# What every text has in common, so that no vector is zero.
_GROUND = [0.05 if byte & 1 else -0.05 for byte in hashlib.shake_128(b"practice").digest(DIMENSIONS)]


def vector(text: str) -> list[float]:
    """Return the vector of a text: DIMENSIONS numbers of length 1 together, always the same for it."""
    sums = list(_GROUND)
    for feature, weight in _features(text):
        # Every feature pushes 32 places up or down, so that the first few numbers mean something too.
        for number in struct.unpack("<32H", hashlib.blake2b(feature.encode()).digest()):
            sums[(number >> 1) % DIMENSIONS] += weight if number & 1 else -weight
    return _normal(sums)


def shortened(values: list[float], dimensions: int | None) -> list[float]:
    """Return the first `dimensions` numbers, normalised anew; other requests leave the vector as it is."""
    if dimensions is None or not 0 < dimensions < len(values):
        return values
    return _normal(values[:dimensions])


def inputs(value: Any) -> list[str]:
    """Return the texts that `input` asks for; the empty string and null are none."""
    if value is None or value == "":
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Fault(400, "invalid input type")
    return texts


def answer(name: str, texts: list[str], body: Mapping[str, Any], window: int, load_ns: int) -> dict[str, Any]:
    """Return the answer of `/api/embed`; raise what Ollama says of a text that is longer than `window`."""
    started = time.perf_counter_ns()
    vectors, total = [], 0
    for text in texts:
        # Two more: the tokens that stand at both ends of every text.
        length = count(text) + 2
        if length > window and not body.get("truncate", True):
            raise Fault(400, "the input length exceeds the context length")
        kept = "".join(pieces(text)[: window - 2]) if length > window else text
        vectors.append(shortened(vector(kept), body.get("dimensions")))
        total += min(length, window)
    took = time.perf_counter_ns() - started
    times = {"total_duration": took + load_ns, "load_duration": load_ns}
    return {"model": name, "embeddings": vectors, **times, "prompt_eval_count": total}


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in text.lower().split():
        yield word, 1.0
        padded = f"^{word}$"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3], 0.4


def _normal(values: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in values))
    if length == 0:
        # Possible only where a vector was cut.
        return [1.0, *values[1:]]
    # Ollama: 32-bit numbers, written with as many digits as they need.
    return [float(f"{value / length:.8g}") for value in values]
