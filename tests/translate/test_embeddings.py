from __future__ import annotations

import base64
import math
import struct
from typing import Any

import msgspec
import pytest

from o2o.errors import BadRequest, Forbidden, Refused, UpstreamInvalid
from o2o.translate.embeddings import Question, answer, packed, shortened, suspect, to_ollama, to_openai
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy, Resolved

MODEL = Resolved("embed", "all-minilm", {})
MINILM = Facts(embedding_length=384)
# Recorded from all-minilm with dimensions 4.
FOUR = [-0.64409214, 0.57710963, 0.12504746, 0.48626432]


def asked(body: dict[str, Any], policy: Policy | None = None, **others: Any) -> Question:
    resolved = others.pop("resolved", MODEL)
    return to_ollama(body, resolved, policy=policy or Policy(), **{"facts": None, **others})


def answered(vectors: Any, body: dict[str, Any], tokens: Any = 4) -> dict[str, Any]:
    return to_openai([{"embeddings": vectors, "prompt_eval_count": tokens}], body, model="embed")


def test_an_input_is_asked_for_and_never_cut_silently() -> None:
    question = Question([{"model": "all-minilm", "truncate": False, "input": ["hi"]}], [])
    assert asked({"model": "embed", "input": "hi"}) == question
    assert asked({"input": ["hi"], "user": "me"}) == question


def test_cutting_is_the_operators_or_the_callers_wish() -> None:
    assert asked({"input": "a"}, Policy(embed_truncate=True)).payloads[0]["truncate"] is True
    assert asked({"input": "a", "truncate": True}).payloads[0]["truncate"] is True
    assert (
        asked({"input": "a", "truncate": False}, Policy(embed_truncate=True)).payloads[0]["truncate"] is False
    )


def test_what_concerns_the_loaded_model_travels_too() -> None:
    body = {"input": "a", "dimensions": 4, "keep_alive": "5m", "options": {"num_ctx": 512, "top_k": 1}}
    resolved = Resolved("embed", "all-minilm", {"num_gpu": 0, "temperature": 0})
    question = asked(body, Policy(num_ctx=9), resolved=resolved)
    assert question.payloads[0] == {
        "model": "all-minilm",
        "truncate": False,
        "dimensions": 4,
        "options": {"num_gpu": 0, "num_ctx": 512},
        "keep_alive": "5m",
        "input": ["a"],
    }
    assert question.ignored == ["options.top_k"]
    assert asked({"input": "a"}, num_ctx_header=256).payloads[0]["options"] == {"num_ctx": 256}
    with pytest.raises(Forbidden):
        asked(body, Policy(lock_runner_options=True))


def test_many_inputs_go_in_batches_and_come_back_in_order() -> None:
    body = {"input": [str(number) for number in range(5)]}
    payloads = asked(body, batch=2).payloads
    assert [payload["input"] for payload in payloads] == [["0", "1"], ["2", "3"], ["4"]]
    replies = [
        {
            "embeddings": [[float(text)] for text in payload["input"]],
            "prompt_eval_count": len(payload["input"]),
        }
        for payload in payloads
    ]
    answer = to_openai(replies, body, model="embed")
    assert [(item["index"], item["embedding"]) for item in answer["data"]] == [
        (n, [float(n)]) for n in range(5)
    ]
    assert answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


def test_the_answer_has_openais_shape() -> None:
    assert answered([FOUR], {"input": "hi"}) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": FOUR}],
        "model": "embed",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


@pytest.mark.parametrize("tokens", [None, True, -3, "5"])
def test_missing_figures_are_zero(tokens: Any) -> None:
    assert answered([FOUR], {"input": "hi"}, tokens)["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_base64_is_little_endian_float32() -> None:
    text = answered([FOUR], {"input": "hi", "encoding_format": "base64"})["data"][0]["embedding"]
    assert struct.unpack("<4f", base64.b64decode(text)) == pytest.approx(FOUR)
    assert packed([1.0]) == "AACAPw=="
    assert answered([[0, 1]], {"input": "hi", "encoding_format": "float"})["data"][0]["embedding"] == [
        0.0,
        1.0,
    ]


def test_vectors_that_are_longer_than_wanted_are_cut_and_brought_to_length_one() -> None:
    cut = answered([FOUR], {"input": "hi", "dimensions": 2})["data"][0]["embedding"]
    assert len(cut) == 2
    assert math.hypot(*cut) == pytest.approx(1)
    assert cut[0] / cut[1] == pytest.approx(FOUR[0] / FOUR[1])
    assert answered([FOUR], {"input": "hi", "dimensions": 4})["data"][0]["embedding"] == FOUR
    assert shortened([0.0, 0.0, 1.0], 2) == [0.0, 0.0]


def test_more_dimensions_than_there_are_are_refused_before_or_after() -> None:
    body = {"input": "hi", "dimensions": 385}
    assert asked({"input": "hi", "dimensions": 384}, facts=MINILM).payloads[0]["dimensions"] == 384
    assert asked(body, facts=Facts()).payloads
    with pytest.raises(BadRequest, match="<= 384, but got 385") as caught:
        asked(body, facts=MINILM)
    assert (caught.value.code, caught.value.param) == ("integer_above_max_value", "dimensions")
    with pytest.raises(BadRequest, match="<= 4, but got 385"):
        answered([FOUR], body)


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ([], "empty_array", "input"),
        ("", "string_below_min_length", "input"),
        (["a", ""], "string_below_min_length", "input[1]"),
        ([1, 2], "unsupported_value", "input"),
        ([[1, 2]], "unsupported_value", "input"),
        (["a", 2], "unsupported_value", "input"),
        (["a", None], "invalid_type", "input[1]"),
        ([True], "invalid_type", "input[0]"),
        (None, "invalid_type", "input"),
        ({}, "invalid_type", "input"),
    ],
)
def test_inputs_that_cannot_be_embedded_are_refused(given: Any, code: str, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asked({"input": given})
    assert (caught.value.code, caught.value.param) == (code, param)


def test_token_arrays_are_refused_with_the_remedy() -> None:
    with pytest.raises(BadRequest, match="check_embedding_ctx_length=False"):
        asked({"input": [[15339, 1917]]})


@pytest.mark.parametrize("vectors", [None, [], [FOUR, FOUR], [["x"]], [None], "x", [[None]]])
def test_replies_that_are_no_embeddings_are_ollamas_fault(vectors: Any) -> None:
    with pytest.raises(UpstreamInvalid):
        answered(vectors, {"input": "hi"})


def test_numbers_that_no_float32_holds_are_ollamas_fault() -> None:
    with pytest.raises(UpstreamInvalid):
        answered([[1e39]], {"input": "hi", "encoding_format": "base64"})


@pytest.mark.parametrize("splice", [True, False])
@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("row", ["nope", '"1"', "{}", "null"])
def test_what_is_no_number_reaches_nobody(row: str, form: str, splice: bool) -> None:
    raw = b'{"embeddings":[[0.5],[%s]]}' % row.encode()
    with pytest.raises(UpstreamInvalid):
        answer([raw], {"input": ["a", "b"], "encoding_format": form}, model="embed", splice=splice)


@pytest.mark.parametrize("splice", [True, False])
def test_an_error_in_place_of_vectors_is_told_as_ollama_says_it(splice: bool) -> None:
    with pytest.raises(Refused, match="out of memory"):
        answer([b'{"error":"out of memory"}'], {"input": "hi"}, model="embed", splice=splice)


@pytest.mark.parametrize("form", ["float", "base64"])
def test_a_large_answer_comes_in_parts_also_where_a_part_ends_with_it(form: str) -> None:
    numbers = ",".join(["0.5"] * 140_000)  # more than fits into one part
    raw = f'{{"embeddings":[[{numbers}],[{numbers}]]}}'.encode()
    made = answer([raw], {"input": ["a", "b"], "encoding_format": form}, model="embed")
    parts = list(made.parts)
    assert len(parts) == 4  # the two vectors, what stands before, and what stands after
    assert made.length == sum(map(len, parts))
    entries = msgspec.json.decode(b"".join(parts))["data"]
    assert [entry["index"] for entry in entries] == [0, 1]
    half = [0.5] * 140_000
    for entry in entries:
        got = entry["embedding"]
        assert (list(struct.unpack("<140000f", base64.b64decode(got))) if form == "base64" else got) == half


def test_the_longest_input_of_a_batch_is_the_suspect() -> None:
    payloads = asked({"input": ["a", "bbb", "c", "dd", "ddd"]}, batch=2).payloads
    assert [suspect(payloads, at) for at in range(3)] == [1, 3, 4]
