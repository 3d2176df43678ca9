"""Passing embeddings on as bytes gives what parsing them gives."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, strategies as st

from o2o.errors import UpstreamInvalid
from o2o.pages import Growing
from o2o.translate import embeddings, splicing

vectors = st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=5)


def raw_of(rows: list[list[float]], tokens: int, **more: Any) -> bytes:
    reply = {"model": "m", "embeddings": rows, "total_duration": 5, "prompt_eval_count": tokens, **more}
    return json.dumps(reply, separators=(",", ":")).encode()


def both(raws: list[bytes], body: dict[str, Any]) -> tuple[Any, Any]:
    answer = embeddings.answer(raws, body, model="asked")
    data = b"".join(answer.parts)
    assert answer.length == len(data)
    assert answer.usage == json.loads(data)["usage"]
    return json.loads(data), embeddings.to_openai([json.loads(raw) for raw in raws], body, model="asked")


@given(st.lists(vectors, min_size=1, max_size=3), st.booleans(), st.integers(0, 1000))
def test_spliced_and_parsed_are_the_same(batches: list[list[list[float]]], packed: bool, tokens: int) -> None:
    inputs = ["x"] * sum(len(batch) for batch in batches)
    body = {"input": inputs, "encoding_format": "base64" if packed else "float"}
    raws = [raw_of(batch, tokens) for batch in batches]
    assert all(splicing.rows(raw) is not None for raw in raws)
    spliced, parsed = both(raws, body)
    if packed:
        assert [entry["index"] for entry in spliced["data"]] == list(range(len(inputs)))
        for entry, vector in zip(spliced["data"], [row for batch in batches for row in batch], strict=True):
            assert struct.unpack("<3f", base64.b64decode(entry["embedding"])) == pytest.approx(vector)
    assert spliced == parsed
    plainly = embeddings.answer(raws, body, model="asked", splice=False)
    assert json.loads(b"".join(plainly.parts)) == parsed


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"m","embeddings":[]}',
        b'{"model":"m","embeddings":[[]]}',
        b'{"model":"m","embeddings":[[1],[]]}',
        b'{"model":"m", "embeddings": [[1, 2]]}',
        b'{"model":"m","embeddings":[[[1]]]}',
        b'{"model":"m","embeddings":[[1],[[2]]]}',
        b'{"model":"m","embeddings":[[1,[2],[3]]}',
        b'{"model":"m","embeddings":[[1],[2]],[3]]}',
        b'{"model":"m","embeddings":[[1]],"x":[[2]]}',
        b'{"model":"m","embeddings":[[1] ,[2]]}',
        b'{"error":"x","embeddings":[[1]]}',
        b'{"model":"embeddings\\":[[1]]","embeddings":5}',
        b'{"model":"m","embeddings":[[1]]',
        b'{"model":"m","embeddings":[[1]],"prompt_eval_count":"many"}',
        b"[[1]]",
        b"",
    ],
)
def test_other_shapes_are_left_to_the_parser(raw: bytes) -> None:
    assert splicing.rows(raw) is None


def test_what_is_cut_here_is_parsed() -> None:
    raw = raw_of([[0.6, 0.8, 0.0]], 1)
    answer = embeddings.answer([raw], {"input": "x", "dimensions": 2}, model="m")
    assert json.loads(b"".join(answer.parts))["data"][0]["embedding"] == pytest.approx([0.6, 0.8])


def test_vectors_of_the_length_that_was_asked_for_are_not() -> None:
    raw = raw_of([[0.6, 0.8], [1.0, 0.0]], 1)
    answer = embeddings.answer([raw], {"input": ["x", "y"], "dimensions": 2}, model="m")
    assert len(list(answer.parts)) == 3


@pytest.mark.parametrize("row", ["nope", "1,nope", '"1"', "{}", "1,", "1e39", "-1e300", "1e999", "null"])
def test_what_is_no_number_is_told_the_same_both_ways(row: str) -> None:
    raw = b'{"model":"m","embeddings":[[%s]]}' % row.encode()
    body = {"input": "x", "encoding_format": "base64"}
    told = []
    for splice in (True, False):
        with pytest.raises(UpstreamInvalid) as caught:
            list(embeddings.answer([raw], body, model="m", splice=splice).parts)
        told.append(caught.value.body())
    assert told[0] == told[1]


@pytest.mark.parametrize("row", ["nope", '"1"', "{}", "null"])
def test_what_is_no_number_is_not_passed_on(row: str) -> None:
    found = splicing.rows(b'{"model":"m","embeddings":[[1],[%s]]}' % row.encode())
    assert found is not None
    assert not splicing.are_numbers(found)


def test_another_number_of_vectors_is_told() -> None:
    with pytest.raises(UpstreamInvalid):
        embeddings.answer([raw_of([[1.0]], 1)], {"input": ["x", "y"]}, model="m")


def test_large_answers_come_in_parts() -> None:
    raw = raw_of([[0.123456789] * 1000] * 60, 1)
    parts = list(embeddings.answer([raw], {"input": ["x"] * 60}, model="m").parts)
    assert 4 <= len(parts) <= 12


@given(vectors, st.sampled_from([None, 3, 2]), st.booleans())
def test_where_the_bytes_are_kept_makes_no_difference(
    rows: list[list[float]], dimensions: int | None, packed: bool
) -> None:
    raw = raw_of(rows, 1)
    body: dict[str, Any] = {"input": ["x"] * len(rows), "encoding_format": "base64" if packed else "float"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    kept = Growing(first=0)
    kept.add(raw)
    answers = [
        b"".join(embeddings.answer([one], body, model="m").parts)
        for one in (raw, bytearray(raw), kept.whole())
    ]
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]
