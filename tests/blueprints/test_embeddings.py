"""`POST /v1/embeddings`, from bytes to bytes."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import Refused
from tests.blueprints.calling import App, app, check_envelope, scripted
from tests.fakes import Script, ScriptedUpstream

PATH = "/v1/embeddings"
BODY: dict[str, Any] = {"model": "m", "input": "Hi"}
ONE: Script = [[{"model": "m", "embeddings": [[0.6, 0.8]], "prompt_eval_count": 3}]]


class Loaded(ScriptedUpstream):
    """An upstream that has loaded `m` with a window of 1,024 tokens."""

    def ps(self) -> dict[str, Any]:
        return {"models": [{"name": "m:latest", "context_length": 1024}]}


def loaded(*scripts: Script) -> App:
    return app(Loaded(*scripts, shows={"m": {}}))


def test_an_answer_has_all_that_openai_promises() -> None:
    served = scripted(ONE)
    response = served.post(PATH, BODY)
    assert response.get_json() == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    assert served.upstream.asked == [("embed", {"model": "m", "truncate": False, "input": ["Hi"]})]
    served.check_released()


def test_options_that_only_generating_needs_are_listed_or_refused() -> None:
    body = {**BODY, "options": {"temperature": 0.5}}
    assert scripted(ONE).post(PATH, body).headers["x-o2o-ignored"] == "options.temperature"
    strict = scripted(strict=True)
    response = strict.post(PATH, body)
    error = check_envelope(response.get_json())
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "unsupported_parameter",
        "options.temperature",
    )
    assert strict.upstream.asked == []
    strict.check_released()


@pytest.mark.parametrize("name", ["num_batch", "num_gpu", "main_gpu", "num_thread", "draft_num_predict"])
def test_options_of_the_runner_may_stand_at_the_top_and_are_not_listed(name: str) -> None:
    served = scripted(ONE, strict=True)
    response = served.post(PATH, {**BODY, name: 1})
    assert response.status_code == 200, response.data
    assert "x-o2o-ignored" not in response.headers
    assert served.upstream.asked[0][1]["options"] == {name: 1}


def test_a_smaller_window_than_the_loaded_one_is_not_asked_for() -> None:
    served = loaded(ONE, ONE, ONE)
    for body, window in (({"num_ctx": 512}, 1024), ({"num_ctx": 2048}, 2048), ({}, 2048)):
        response = served.post(PATH, {**BODY, **body})
        assert served.upstream.asked[-1][1]["options"] == {"num_ctx": window}
        assert response.headers["x-o2o-num-ctx"] == str(window)


def test_a_window_that_nobody_asks_for_is_left_to_ollama() -> None:
    served = loaded(ONE)
    assert "x-o2o-num-ctx" not in served.post(PATH, BODY).headers
    assert "options" not in served.upstream.asked[0][1]


def test_an_input_that_is_too_long_is_told_with_its_number_and_the_models_length() -> None:
    show = {"model_info": {"general.architecture": "bert", "bert.context_length": 256}}
    refusal = Refused(400, "the input length exceeds the context length")
    served = scripted([refusal], shows={"m": show})
    response = served.post(PATH, {**BODY, "input": ["short", "long " * 300]})
    error = check_envelope(response.get_json())
    assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
    assert "256 tokens" in error["message"]
    assert "input[1]" in error["message"]
    served.check_released()
