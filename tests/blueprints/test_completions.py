"""`POST /v1/completions`, from bytes to bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from o2o.errors import Refused
from o2o.upstream.ndjson import Reply
from tests.blueprints.calling import CaseUpstream, app, check_envelope, events, scripted
from tests.cases import Case, plain, played, reply
from tests.fakes import Script, ScriptedUpstream
from tests.table import check_told
from tests.test_tokens import vocabulary

PATH = "/v1/completions"
BODY: dict[str, Any] = {"model": "m", "prompt": "Hi"}
THERE: Script = [
    [reply("completions", " there")],
    [reply("completions", {"done": "stop", "prompt": 2, "eval": 1})],
]


@pytest.mark.parametrize(("case", "whole"), played("completions"))
def test_case(case: Case, whole: bool) -> None:
    upstream = CaseUpstream(case, whole=whole)
    served = app(upstream, **case.get("settings", {}))
    response = served.post(PATH, {**case.body(whole=whole), "stream_options": {"include_usage": True}})
    expected = case.error(whole=whole)
    if response.content_type == "application/json":
        body = json.loads(response.data)
        if expected is not None:
            check_told(case, response.status_code, check_envelope(body), whole=whole)
        else:
            assert {"choices": body["choices"], "usage": body["usage"]} == case.completion()
    else:
        came = events(response.data)
        for index in {choice["index"] for choice in case.choices()}:
            assert [choice for choice in came.choices if choice["index"] == index] == [
                choice for choice in case.choices() if choice["index"] == index
            ]
        if expected is not None:
            assert came.error is not None
            check_told(case, 200, came.error, whole=whole)
        else:
            if case.get("whole_asks") is None:
                assert came.chunks[-1]["usage"] == case.completion()["usage"]
            assert came.done == 1
    assert upstream.left == []
    served.check_released()
    for name, value in case.get("headers", {}).items():
        # What happens after the first line of a stream is told in the log.
        if whole or value != "response_format":
            assert response.headers[name] == value


def test_a_completion_has_all_that_openai_promises() -> None:
    body = scripted(THERE).post(PATH, BODY).get_json()
    assert body.pop("id").startswith("cmpl-")
    assert isinstance(body.pop("created"), int)
    assert plain(body) == {
        "object": "text_completion",
        "model": "m",
        "choices": [{"text": " there", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 1,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_a_chunk_looks_like_a_completion() -> None:
    came = events(scripted(THERE).post(PATH, {**BODY, "stream": True}).data)
    assert {chunk["object"] for chunk in came.chunks} == {"text_completion"}
    assert len({(chunk["id"], chunk["created"]) for chunk in came.chunks}) == 1
    assert [choice["text"] for choice in came.choices] == [" there", ""]
    assert [choice["finish_reason"] for choice in came.choices] == [None, "stop"]
    assert not any("usage" in chunk for chunk in came.chunks)


def test_a_window_that_grew_is_told() -> None:
    overflow = Refused(
        400, "request (5024 tokens) exceeds the available context size (4096 tokens), try increasing it"
    )
    response = scripted([overflow], THERE).post(PATH, BODY)
    assert response.headers["x-o2o-warning"] == "num_ctx_grown"
    assert response.headers["x-o2o-num-ctx"] == "8192"


@pytest.mark.parametrize("stream", [False, True])
def test_one_failing_answer_fails_all_and_all_are_closed(stream: bool) -> None:
    served = scripted([Refused(500, "no")], THERE, THERE)
    response = served.post(PATH, {**BODY, "n": 3, "stream": stream})
    assert response.status_code in (200, 502)
    error = events(response.data).error if response.status_code == 200 else response.get_json()["error"]
    assert error is not None
    assert error["code"] == "upstream_error"
    served.check_released()


def test_unknown_parameters_are_listed_or_refused() -> None:
    assert (
        scripted(THERE).post(PATH, {**BODY, "no_such": 1, "think": True}).headers["x-o2o-ignored"]
        == "think, no_such"
    )
    error = check_envelope(scripted(strict=True).post(PATH, {**BODY, "no_such": 1}).get_json())
    assert error["message"] == "Unrecognized request argument supplied: no_such"
    error = check_envelope(scripted(strict=True).post(PATH, {**BODY, "think": True}).get_json())
    assert error["param"] == "think"


def test_a_loaded_window_is_kept_where_a_smaller_one_is_asked_for() -> None:
    class Loaded(ScriptedUpstream):
        def ps(self) -> Reply:
            return {"models": [{"name": "m:latest", "context_length": 8192}]}

    served = app(Loaded(THERE))
    response = served.post(PATH, {**BODY, "num_ctx": 4096})
    assert response.headers["x-o2o-num-ctx"] == "8192"
    assert served.upstream.asked[0][1]["options"]["num_ctx"] == 8192


def test_prompts_of_tokens_are_read_where_the_operator_has_a_vocabulary(tmp_path: Path) -> None:
    served = scripted(THERE, THERE, THERE, tiktoken_cache_dir=str(vocabulary(tmp_path)))
    answer = served.post(PATH, {**BODY, "prompt": [1, 2, 5], "echo": True}).get_json()
    assert [choice["text"] for choice in answer["choices"]] == ["hello w there"]
    answer = served.post(PATH, {**BODY, "prompt": [[1], [2]], "echo": True}).get_json()
    assert [choice["text"] for choice in answer["choices"]] == ["he there", "llo there"]
    error = check_envelope(served.post(PATH, {**BODY, "prompt": [[1], [2, 7]]}).get_json())
    assert (error["code"], error["param"]) == ("invalid_value", "prompt[1][1]")
