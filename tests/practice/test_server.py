from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from o2o.practice import Exchange, PracticeServer

LONG = {"model": "practice", "messages": [{"role": "user", "content": "count to 400"}]}


@pytest.fixture
def slow() -> Iterator[PracticeServer]:
    with PracticeServer(pace=0.02) as server:
        yield server


def test_url_names_the_port_that_was_taken() -> None:
    server = PracticeServer()
    assert server.url == "http://127.0.0.1:0"
    with server:
        assert requests.get(server.url, timeout=5).text == "Ollama is running"
        assert str(server.port) in repr(server)


def test_a_taken_port_is_an_error(practice: PracticeServer) -> None:
    with pytest.raises(OSError, match="in use"):
        PracticeServer(port=practice.port).start()


def test_closing_twice_and_before_starting_is_allowed() -> None:
    server = PracticeServer()
    server.close()
    server.start()
    server.close()
    server.close()


def test_words_come_at_the_pace_that_was_asked_for(slow: PracticeServer) -> None:
    body = {**LONG, "options": {"num_predict": 6}}
    with requests.post(slow.url + "/api/chat", json=body, stream=True, timeout=5) as response:
        times = [time.monotonic() for _ in response.iter_lines()]
    assert len(times) == 7
    assert times[5] - times[0] > 0.08


def test_whole_answers_take_their_time_too(slow: PracticeServer) -> None:
    started = time.monotonic()
    body = {**LONG, "options": {"num_predict": 6}, "stream": False}
    reply = requests.post(slow.url + "/api/chat", json=body, timeout=5).json()
    assert time.monotonic() - started > 0.1
    assert reply["eval_duration"] > 100_000_000
    parts = ("load_duration", "prompt_eval_duration", "eval_duration")
    assert sum(reply[part] for part in parts) <= reply["total_duration"]


def test_closing_the_server_ends_streams_in_the_middle() -> None:
    server = PracticeServer(pace=0.02)
    server.start()
    with requests.post(server.url + "/api/chat", json=LONG, stream=True, timeout=5) as response:
        lines = response.iter_lines()
        next(lines)
        server.close()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(lines)


def test_many_callers_are_answered_at_once(slow: PracticeServer) -> None:
    body = {**LONG, "options": {"num_predict": 10}}
    answers: list[int] = []

    def call() -> None:
        answers.append(len(requests.post(slow.url + "/api/chat", json=body, timeout=10).text.splitlines()))

    threads = [threading.Thread(target=call) for _ in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [11] * 20
    assert time.monotonic() - started < 20 * 0.2


def test_a_subclass_may_answer_differently() -> None:
    class Rude(PracticeServer):
        def answer(self, handler: Exchange, method: str, path: str, body: bytes) -> None:
            if path == "/api/version":
                handler.begin(503, [("Content-Length", "2")])
                handler.write(b"no")
            else:
                super().answer(handler, method, path, body)

    with Rude() as server:
        assert requests.get(server.url + "/api/version", timeout=5).text == "no"
        assert requests.get(server.url + "/api/tags", timeout=5).status_code == 200


def in_process(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_serve_answers_in_a_process_of_its_own_until_interrupted() -> None:
    serve = "from o2o.practice import serve; serve('127.0.0.1', 0, 0, lambda url: print(url, flush=True))"
    with in_process(serve) as process:
        url = first_line(process)
        assert requests.get(url + "/api/version", timeout=5).json() == {"version": "0.33.0"}
        process.send_signal(2)
        assert process.wait(5) == 0


def test_it_needs_neither_flask_nor_requests_nor_gevent() -> None:
    code = (
        "import sys; import o2o.practice;"
        "print([name for name in ('flask', 'requests', 'gevent', 'msgspec') if name in sys.modules])"
    )
    with in_process(code) as process:
        assert first_line(process) == "[]"


def test_it_works_in_a_process_patched_by_gevent() -> None:
    code = (
        "from gevent import monkey; monkey.patch_all();"
        "import json, urllib.request; from o2o.practice import PracticeServer;"
        "server = PracticeServer(pace=0.001); server.start();"
        f"body = {json.dumps(json.dumps(LONG))}.encode();"
        "print(len(urllib.request.urlopen(server.url + '/api/chat', body).read().splitlines())); server.close()"
    )
    with in_process(code) as process:
        assert first_line(process) == "401"
        assert process.wait(10) == 0


def test_an_ipv6_address_stands_in_brackets() -> None:
    server = PracticeServer("::1", 1234)
    assert server.url == "http://[::1]:1234"
