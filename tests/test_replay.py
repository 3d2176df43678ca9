from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests

from tests import replay
from tests.replay import Cuts, ReplayServer

STREAM = "10-logprobs/echo-rare-emoji-stream"


def ask(server: ReplayServer, name: str, exchange: int = 0) -> requests.Response:
    method, path, body = replay.request(replay.load(name), exchange)
    return requests.request(method, server.url + path, data=body, timeout=5, allow_redirects=False)


def test_every_recording_can_be_read() -> None:
    names = replay.names()
    assert len(names) > 250
    for name in names:
        recording = replay.load(name)
        assert f"{recording['group']}/{recording['name']}" == name
        for exchange in range(len(recording["exchanges"])):
            assert 100 <= replay.status(recording, exchange) < 600
            assert b"".join(replay.reads(recording, exchange)) == replay.replies_bytes(recording, exchange)
            assert replay.request(recording, exchange)[1].startswith("/")


def test_names_of_one_group() -> None:
    names = replay.names("17-repeat-guard")
    assert names
    assert all(name.startswith("17-repeat-guard/") for name in names)


def test_replies_are_the_lines() -> None:
    replies = replay.replies(replay.load("01-chat/echo-stream"))
    assert replies[-1]["done"] is True
    assert replay.headers(replay.load("01-chat/echo-stream"))["content-type"] == "application/x-ndjson"


def test_a_loaded_recording_is_a_copy() -> None:
    replay.load(STREAM)["exchanges"].clear()
    assert replay.load(STREAM)["exchanges"]


@pytest.mark.parametrize("cuts", ["recorded", "whole", "bytes", "random"])
def test_a_body_is_the_same_however_it_is_cut(cuts: Cuts) -> None:
    recording = replay.load(STREAM)
    with ReplayServer(STREAM, cuts=cuts, seed=3) as server:
        response = ask(server, STREAM)
        assert response.content == replay.replies_bytes(recording)
        assert dict(response.headers) == dict(recording["exchanges"][0]["response"]["headers"])
        assert server.asked("/api/chat")[0].raw == replay.request(recording)[2]


def test_cuts_are_chunks() -> None:
    size = len(replay.replies_bytes(replay.load(STREAM)))
    with ReplayServer(STREAM, cuts="bytes") as server:
        response = requests.post(server.url + "/api/chat", stream=True, timeout=5)
        assert sum(1 for _ in response.raw.stream()) == size


def test_random_cuts_depend_on_the_seed() -> None:
    data = bytes(range(256))
    assert b"".join(replay.cut(data, "random", 1)) == data
    assert replay.cut(data, "random", 1) == replay.cut(data, "random", 1) != replay.cut(data, "random", 2)
    assert replay.cut(b"", "random") == replay.cut(b"", "whole") == replay.cut(b"", "bytes") == []
    assert replay.cut(b"a", "random") == [b"a"]


def test_the_wire_is_the_recorded_one() -> None:
    name = "15-errors/unknown-route"
    with ReplayServer(name) as server, socket.create_connection(("127.0.0.1", server.port), 5) as wire:
        wire.sendall(b"GET /api/nosuch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: wire.recv(4096), b""))
    assert received.startswith(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nDate: ")
    assert received.endswith(b"Content-Length: 18\r\n\r\n404 page not found")
    assert urlsplit(server.url).port == server.port


def test_several_exchanges_come_in_order_and_the_last_again() -> None:
    name = "16-midstream-failure/gemma3-kill-stream"
    recording = replay.load(name)
    assert len(recording["exchanges"]) == 2
    with ReplayServer(name) as server:
        answers = [ask(server, name).content for _ in range(3)]
    expected = [replay.replies_bytes(recording, exchange) for exchange in (0, 1, 1)]
    assert answers == expected


def test_recordings_of_other_endpoints_stand_beside_each_other() -> None:
    with ReplayServer("01-chat/echo-nonstream", "00-server/tags") as server:
        assert ask(server, "00-server/tags").json() == replay.replies(replay.load("00-server/tags"))[0]
        assert ask(server, "01-chat/echo-nonstream").json()["model"] == "echo:270m"
        assert requests.get(server.url + "/api/version", timeout=5).json() == {"version": "0.33.0"}


def test_scripts_come_before_recordings() -> None:
    with ReplayServer(STREAM) as server:
        server.script("/api/chat", (500, {}, [b"{}"]))
        assert ask(server, STREAM).status_code == 500
        assert ask(server, STREAM).status_code == 200


def test_a_stream_that_was_left_ends_without_its_last_chunk() -> None:
    name = "20-disconnect/abort-during-generation"
    assert replay.load(name)["exchanges"][0]["response"]["end"].startswith("closed")
    with ReplayServer(name) as server, pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(server, name)


def test_a_shortened_body_has_its_own_length() -> None:
    with ReplayServer(*replay.names("00-server")) as server:
        for name in replay.names("00-server"):
            assert ask(server, name).status_code == 200
