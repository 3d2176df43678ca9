"""The end of a generating endpoint: what an answer tells beside its choices, whole and as a stream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blueprints.calling import app, events, scripted
from tests.cases import reply
from tests.fakes import Script, ScriptedUpstream

PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
HI: Script = [[reply("chat", "Hi")], [reply("chat", {"done": "stop", "prompt": 5, "eval": 1})]]


def test_timings_are_told_where_somebody_wants_them() -> None:
    final = {**reply("chat", {"done": "stop", "prompt": 5, "eval": 2}), "eval_duration": 4_000_000}
    told = scripted([[final]]).post(PATH, {**BODY, "timings": True}).get_json()["timings"]
    assert (told["predicted_n"], told["predicted_ms"]) == (2, 4.0)
    assert "timings" not in scripted([[final]]).post(PATH, BODY).get_json()
    assert "timings" in scripted([[final]], timings=True).post(PATH, BODY).get_json()


def test_an_answer_that_outgrew_its_window_is_told() -> None:
    script: Script = [[reply("chat", {"content": "Hi", "done": "stop", "prompt": 500, "eval": 13})]]
    served = scripted(script, script)
    assert served.post(PATH, {**BODY, "num_ctx": 512}).headers["x-o2o-warning"] == "context_shifted"
    assert "x-o2o-warning" not in served.post(PATH, {**BODY, "num_ctx": 513}).headers


def test_a_stream_tells_timings_with_its_usage() -> None:
    options = {"include_usage": True}
    came = events(
        scripted(HI).post(PATH, {**BODY, "stream": True, "stream_options": options, "timings": True}).data
    )
    assert came.chunks[-1]["timings"]["predicted_n"] == 1


def test_what_happened_on_the_way_and_the_usage_reach_the_log_of_a_stream(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script: Script = [[reply("chat", {"content": "{", "done": "stop", "prompt": 5, "eval": 2})]]
    scripted(script).post(PATH, {**BODY, "stream": True, "format": "json"})
    [line] = [line for line in capsys.readouterr().err.splitlines() if PATH in line]
    for told in ("response_format", "model=m", "status=200", "prompt_tokens=5", "completion_tokens=2"):
        assert told in line


@pytest.mark.parametrize(("loaded", "told"), [(4096, True), (8192, False)])
def test_where_nobody_asked_for_a_window_ollama_is_asked_what_it_loaded(loaded: int, told: bool) -> None:
    class Loaded(ScriptedUpstream):
        def ps(self) -> dict[str, Any]:
            return {"models": [{"name": "m:latest", "context_length": loaded}]}

    script: Script = [[reply("chat", {"content": "Hi", "done": "stop", "prompt": 4096, "eval": 1})]]
    response = app(Loaded(script, shows={"m": {}})).post(PATH, BODY)
    assert (response.headers.get("x-o2o-warning") == "context_shifted") == told


def test_the_fingerprint_is_the_models_once_a_list_has_shown_it() -> None:
    served = scripted(HI, HI)
    assert served.post(PATH, BODY).get_json()["system_fingerprint"] is None
    served.call("GET", "/v1/models")
    assert served.post(PATH, BODY).get_json()["system_fingerprint"] == "fp_digest-of-"
