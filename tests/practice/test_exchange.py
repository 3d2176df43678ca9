from __future__ import annotations

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import requests

from o2o.practice import PracticeServer
from tests.ollama import FakeOllama

LONG = {"model": "practice", "messages": [{"role": "user", "content": "count to 400"}]}


def connect(server: PracticeServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)


def test_a_connection_serves_many_requests() -> None:
    with FakeOllama() as ollama, requests.Session() as session:
        for path in ("/api/version", "/api/nosuch", "/api/tags"):
            session.get(ollama.url + path, timeout=5)
        session.head(ollama.url, timeout=5)
        session.post(ollama.url + "/api/chat", json=LONG, timeout=5)
        assert len(ollama.connections) == 1


def test_a_chunked_request_body_is_read(practice: PracticeServer) -> None:
    pieces = iter([b'{"model":"practice","prompt":"say: ', b'hi","stream":false}'])
    for _ in range(2):
        reply = requests.post(practice.url + "/api/generate", data=pieces, timeout=5)
        assert reply.json().get("response", "hi") == "hi"


def test_a_request_that_expects_to_be_told_to_continue_is_told(practice: PracticeServer) -> None:
    connection = connect(practice)
    body = json.dumps({"model": "practice"})
    connection.request("POST", "/api/show", body, {"Expect": "100-continue"})
    assert connection.getresponse().status == 200
    connection.close()


def test_lines_stop_when_the_reader_hangs_up() -> None:
    with FakeOllama(pace=0.02) as ollama:
        with requests.post(ollama.url + "/api/chat", json=LONG, stream=True, timeout=5) as response:
            next(response.iter_lines())
        left = time.monotonic()
        (connection,) = ollama.await_leavers()
        assert connection.left is not None
        assert connection.left - left < 0.5


def test_a_whole_answer_stops_when_the_reader_hangs_up() -> None:
    with FakeOllama(pace=0.02) as ollama:
        connection = connect(ollama)
        connection.request("POST", "/api/chat", json.dumps({**LONG, "stream": False}))
        ollama.await_requests(1, "/api/chat")
        connection.close()
        ollama.await_leavers()


def test_bytes_of_a_next_request_do_not_disturb_an_answer() -> None:
    body = json.dumps({**LONG, "options": {"num_predict": 5}}).encode()
    head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with FakeOllama(pace=0.01) as ollama, socket.create_connection(("127.0.0.1", ollama.port), 5) as wire:
        wire.sendall(head + body + last)
        received = b"".join(iter(lambda: wire.recv(65536), b""))
    assert received.count(b'"done":false') == 5
    assert received.endswith(b"Ollama is running")


def test_bytes_that_come_while_an_answer_is_written_do_not_hurry_it() -> None:
    body = json.dumps({**LONG, "options": {"num_predict": 5}}).encode()
    head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with FakeOllama(pace=0.05) as ollama, socket.create_connection(("127.0.0.1", ollama.port), 5) as wire:
        wire.sendall(head + body)
        began = time.monotonic()
        received = wire.recv(65536)
        wire.sendall(last)
        received += b"".join(iter(lambda: wire.recv(65536), b""))
    assert time.monotonic() - began > 4 * 0.05
    assert received.count(b'"done":false') == 5
    assert received.endswith(b"Ollama is running")


def test_what_follows_the_last_chunk_is_read_over() -> None:
    body = json.dumps({"model": "practice", "prompt": "say: hi", "stream": False}).encode()
    head = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x;name=value\r\n%s\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n" % (len(body), body)
    last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with FakeOllama() as ollama, socket.create_connection(("127.0.0.1", ollama.port), 5) as wire:
        wire.sendall(head + chunks + last)
        received = b"".join(iter(lambda: wire.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.endswith(b"Ollama is running")


def test_a_body_that_never_comes_whole_is_a_departure() -> None:
    with FakeOllama() as ollama:
        for start in (b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"):
            with socket.create_connection(("127.0.0.1", ollama.port), 5) as wire:
                wire.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n" + start)
        ollama.await_leavers(2)
        assert ollama.requests == []


def test_writing_to_nobody_is_a_departure() -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/chat", (200, {}, [b"x" * 100_000] * 200))
        response = requests.post(ollama.url + "/api/chat", stream=True, timeout=5)
        response.close()
        ollama.await_leavers()
