"""`POST /v1/embeddings`, from bytes to bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from o2o.errors import Refused
from tests.blueprints.calling import App, app, check_envelope, scripted
from tests.fakes import Script, ScriptedUpstream
from tests.test_tokens import vocabulary

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


def test_an_error_in_place_of_vectors_is_no_answer() -> None:
    served = scripted([[{"error": "llama runner process has terminated"}]])
    response = served.post(PATH, BODY)
    assert response.status_code >= 500
    check_envelope(response.get_json())
    served.check_released()


@pytest.mark.parametrize(("given", "read"), [([1, 2, 0], ["hello!"]), ([[1, 2], [5]], ["hello", " w"])])
def test_token_arrays_are_read_where_the_operator_has_a_vocabulary(
    tmp_path: Path, given: Any, read: list[str]
) -> None:
    vectors: Script = [[{"embeddings": [[1.0]] * len(read), "prompt_eval_count": 3}]]
    served = scripted(vectors, tiktoken_cache_dir=str(vocabulary(tmp_path)))
    response = served.post(PATH, {**BODY, "input": given})
    assert response.status_code == 200, response.data
    assert [item["index"] for item in response.get_json()["data"]] == list(range(len(read)))
    assert served.upstream.asked[0][1]["input"] == read


def test_token_arrays_are_refused_with_the_remedy_where_there_is_none(tmp_path: Path) -> None:
    served = scripted(tiktoken_cache_dir=str(tmp_path))
    error = check_envelope(served.post(PATH, {**BODY, "input": [1, 2]}).get_json())
    assert (error["code"], error["param"]) == ("unsupported_value", "input")
    for remedy in ("check_embedding_ctx_length=False", "TIKTOKEN_CACHE_DIR"):
        assert remedy in error["message"]
    served.check_released()


def test_as_many_arrays_of_as_many_tokens_as_openai_takes_are_read_and_no_more(tmp_path: Path) -> None:
    vectors: Script = [[{"embeddings": [[1.0]] * 512}]]
    served = scripted(*[vectors] * 4, tiktoken_cache_dir=str(vocabulary(tmp_path)))
    response = served.post(PATH, {**BODY, "input": [[0] * 2048, *[[0] * 100] * 2047]})
    assert response.status_code == 200
    assert len(response.get_json()["data"]) == 2048
    read = [text for _, payload in served.upstream.asked for text in payload["input"]]
    assert read == ["!" * 2048, *["!" * 100] * 2047]
    for given, param in (([[0]] * 2049, "input"), ([[0], [0] * 2049], "input[1]"), ([0] * 2049, "input")):
        error = check_envelope(served.post(PATH, {**BODY, "input": given}).get_json())
        assert (error["code"], error["param"]) == ("array_above_max_length", param)
    error = check_envelope(served.post(PATH, {**BODY, "input": [[0], [100257]]}).get_json())
    assert (error["code"], error["param"]) == ("invalid_value", "input[1][0]")
    served.check_released()
