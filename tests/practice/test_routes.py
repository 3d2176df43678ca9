from __future__ import annotations

import json
import re
from typing import Any

import pytest

from o2o.practice.routes import Ollama, Spoken, Whole, rfc3339

HELLO = [{"role": "user", "content": "Hello"}]


class Clock:
    """A time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def post(ollama: Ollama, path: str, **body: Any) -> Any:
    return ollama.answer("POST", path, json.dumps(body).encode())


def loaded(ollama: Ollama) -> dict[str, Any]:
    answer = ollama.answer("GET", "/api/ps", b"")
    assert isinstance(answer, Whole)
    assert isinstance(answer.body, dict)
    return {model["name"]: model["context_length"] for model in answer.body["models"]}


def test_models_are_loaded_for_five_minutes() -> None:
    clock = Clock()
    ollama = Ollama(clock)
    assert loaded(ollama) == {}
    post(ollama, "/api/chat", model="practice", messages=HELLO)
    clock.now += 299
    assert loaded(ollama) == {"practice:latest": 4096}
    clock.now += 2
    assert loaded(ollama) == {}


@pytest.mark.parametrize(("keep_alive", "later"), [(-1, 1e7), ("10m", 599), (10, 9)])
def test_keep_alive_says_how_long(keep_alive: Any, later: float) -> None:
    clock = Clock()
    ollama = Ollama(clock)
    post(ollama, "/api/generate", model="practice", keep_alive=keep_alive)
    clock.now += later
    assert loaded(ollama)


def test_nothing_to_say_loads_and_unloads() -> None:
    ollama = Ollama(Clock())
    assert post(ollama, "/api/chat", model="practice").body["done_reason"] == "load"
    assert loaded(ollama)
    assert post(ollama, "/api/chat", model="practice", keep_alive=0).body["done_reason"] == "unload"
    assert not loaded(ollama)


def test_ps_tells_the_window_that_is_loaded() -> None:
    ollama = Ollama(Clock())
    post(ollama, "/api/chat", model="practice", messages=HELLO, options={"num_ctx": 8192})
    post(ollama, "/api/embed", model="practice-embed", input="x")
    assert loaded(ollama) == {"practice:latest": 8192, "practice-embed:latest": 2048}


def test_another_window_loads_anew() -> None:
    ollama = Ollama(Clock())
    times = []
    for window in (4096, 4096, 8192):
        answer = post(ollama, "/api/chat", model="practice", messages=HELLO, options={"num_ctx": window})
        times.append(answer.speech.load_ns)
    assert times[0] == times[2] > times[1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/api/version", 200),
        ("GET", "/api/tags?x=1", 200),
        ("GET", "/v1/models", 404),
        ("PUT", "/api/ps", 405),
        ("POST", "/api/chat/", 307),
        ("POST", "/api//chat", 307),
    ],
)
def test_paths_and_methods(method: str, path: str, status: int) -> None:
    answer = Ollama().answer(method, path, b"")
    assert isinstance(answer, Whole)
    assert answer.status == status


def test_late_faults_of_streams_travel_as_streams() -> None:
    asked = {"model": "practice", "messages": HELLO, "format": "yaml"}
    assert post(Ollama(), "/api/chat", **asked).as_stream
    assert not post(Ollama(), "/api/chat", **asked, stream=False).as_stream
    assert not post(Ollama(), "/api/chat", **asked, top_logprobs=21).as_stream


def test_the_model_is_echoed_as_it_was_asked_for() -> None:
    answer = post(Ollama(), "/api/chat", model="Practice:LATEST", messages=HELLO)
    assert isinstance(answer, Spoken)
    assert answer.speech.model == "Practice:LATEST"


def test_show_takes_the_old_field_too() -> None:
    assert post(Ollama(), "/api/show", name="practice").status == 200


def test_roles_are_read_without_regard_to_case() -> None:
    messages = [{"role": "SYSTEM", "content": "Be brief."}, {"role": "User", "content": "say: hi"}]
    answer = post(Ollama(), "/api/chat", model="practice", messages=messages)
    assert answer.speech.whole("now", 1, 1)["message"]["content"] == "hi"


def test_the_prompt_can_be_seen() -> None:
    answer = post(Ollama(), "/api/chat", model="practice", messages=HELLO, _debug_render_only=True)
    assert answer.body["_debug_info"] == {"rendered_template": "<|user|>\nHello\n<|assistant|>\n"}
    answer = post(
        Ollama(), "/api/generate", model="practice", prompt="a", suffix="b", _debug_render_only=True
    )
    assert answer.body["_debug_info"] == {"rendered_template": "<|prefix|>a<|suffix|>b<|middle|>"}


def test_times_are_written_with_nine_decimals() -> None:
    assert re.fullmatch(r"2027-01-15T08:00:00\.5\d{8}Z", rfc3339(1_800_000_000.5))
