from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.ollama import FakeOllama, error, stream, whole

LINE = {"message": {"role": "assistant", "content": "hi"}, "done": False}


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


def post(ollama: FakeOllama, path: str = "/api/chat") -> requests.Response:
    body = {"model": "practice", "messages": [{"role": "user", "content": "hi"}]}
    return requests.post(ollama.url + path, json=body, timeout=5, headers={"X-Test": "1"})


def test_requests_are_remembered(ollama: FakeOllama) -> None:
    post(ollama)
    (seen,) = ollama.asked("/api/chat")
    assert (seen.method, seen.headers["x-test"], seen.body["model"]) == ("POST", "1", "practice")
    requests.get(ollama.url + "/api/tags", timeout=5)
    assert ollama.asked("/api/tags")[0].body is None


def test_scripts_are_used_once_each_in_order_and_then_it_practises(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", error(503, "busy", **{"Retry-After": "3"}), stream(LINE, b"rubbish\n"))
    refused = post(ollama)
    assert (refused.status_code, refused.json()) == (503, {"error": "busy"})
    assert refused.headers["Retry-After"] == "3"
    assert post(ollama).content.endswith(b'"done":false}\nrubbish\n')
    assert post(ollama).content.endswith(b"}\n")
    assert requests.get(ollama.url + "/api/version", timeout=5).ok


def test_answers_that_nobody_asked_for_can_be_taken_back(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", error(503, "busy"), error(503, "still busy"))
    assert post(ollama).status_code == 503
    assert ollama.take_unused() == ["/api/chat"]
    assert post(ollama).status_code == 200
    assert ollama.take_unused() == []


def test_headers_wait_for_the_first_bytes(ollama: FakeOllama) -> None:
    go = threading.Event()
    ollama.script("/api/chat", stream(go, LINE))
    started = time.monotonic()
    threading.Timer(0.15, go.set).start()
    post(ollama)
    assert time.monotonic() - started > 0.14


def test_an_empty_piece_sends_the_headers_alone(ollama: FakeOllama) -> None:
    never = threading.Event()
    ollama.script("/api/chat", stream(b"", never))
    with requests.post(ollama.url + "/api/chat", stream=True, timeout=5) as response:
        assert response.status_code == 200
    ollama.await_leavers()


def test_a_connection_can_be_closed_in_the_middle(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(LINE, "close"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(ollama)


def test_a_connection_can_be_closed_before_the_first_byte(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream("close"))
    with pytest.raises(requests.ConnectionError):
        post(ollama)


def test_a_connection_can_be_reset(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(LINE, 0.05, "reset"), stream("reset"))
    with pytest.raises(requests.RequestException, match="reset"):
        post(ollama)
    with pytest.raises(requests.ConnectionError, match="reset"):
        post(ollama)
    ollama.await_all_closed()


def test_a_body_may_end_with_its_connection(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", (200, {"Connection": "close"}, [b"all ", b"of it"]))
    assert post(ollama).text == "all of it"


def test_a_body_may_be_shorter_than_promised(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", (200, {"Content-Length": "100"}, [b"{", "close"]))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(ollama)


def test_an_answer_without_bytes_has_headers(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", (403, {"Content-Length": "0"}, []))
    assert post(ollama).status_code == 403


def test_departure_is_noticed_while_nothing_is_sent(ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(LINE, threading.Event()))
    response = requests.post(ollama.url + "/api/chat", stream=True, timeout=5)
    lines = response.iter_lines()
    next(lines)
    assert ollama.open_connections == 1
    left = time.monotonic()
    response.close()
    (connection,) = ollama.await_leavers()
    assert connection.left is not None
    assert connection.left - left < 0.5
    ollama.await_all_closed()


def test_a_complete_answer_has_no_leaver(ollama: FakeOllama) -> None:
    post(ollama)
    ollama.await_all_closed()
    assert [connection.left for connection in ollama.connections] == [None]


def test_kept_connections_are_seen(ollama: FakeOllama) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.get(ollama.url + "/api/version", timeout=5)
        assert ollama.open_connections == 1
    ollama.await_all_closed()
    assert [connection.requests for connection in ollama.connections] == [3]


def test_waiting_in_vain_fails(ollama: FakeOllama) -> None:
    with pytest.raises(AssertionError, match="request 1 for /api/chat did not happen"):
        ollama.await_requests(1, "/api/chat", patience=0.05)


def test_whole_bodies_have_a_length(ollama: FakeOllama) -> None:
    ollama.script("/api/tags", whole({"models": []}))
    response = requests.get(ollama.url + "/api/tags", timeout=5)
    assert response.headers["Content-Length"] == str(len(response.content))
