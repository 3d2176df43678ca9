"""Streams of chat completions as they are on the wire: framing, order, ends and failures."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import openai
import pytest

from tests.e2e import wire
from tests.e2e.wire import DONE, Answer, chat, deltas, last, line, recorded
from tests.ollama import FakeOllama, error, stream
from tests.server import Server

ASK = [{"role": "user", "content": "count to 12"}]


def streamed(server: Server, /, **fields: Any) -> Answer:
    return chat(server, **{"messages": ASK, "stream": True, **fields})


def chunks_of(server: Server, /, **fields: Any) -> list[Any]:
    """Return the chunks of a stream that ended well, without DONE."""
    *chunks, end = streamed(server, **fields).events
    assert end == DONE
    return chunks


def text_of(chunks: list[Any], index: int = 0) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(chunks, index))


def open_stream(server: Server, **fields: Any) -> socket.socket:
    """Send a request for a stream on a raw connection."""
    body = json.dumps({"model": "practice", "messages": ASK, "stream": True, **fields}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=wire.PATIENCE)
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def read_until(connection: socket.socket, what: bytes) -> bytes:
    data = b""
    while what not in data:
        got = connection.recv(65536)
        assert got, data
        data += got
    return data


# --- the response around it


def test_a_stream_is_sent_in_chunks_that_nobody_should_keep_back(server: Server) -> None:
    headers = streamed(server).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    assert "content-encoding" not in headers
    assert "no-cache" in headers["cache-control"]
    assert headers["x-accel-buffering"] == "no"


def test_a_stream_is_not_compressed(server: Server) -> None:
    answer = chat(server, {"Accept-Encoding": "gzip, deflate, br"}, stream=True)
    assert "content-encoding" not in answer.headers
    assert answer.events[-1] == DONE


def test_words_arrive_before_the_answer_is_complete(server: Server, ollama: FakeOllama) -> None:
    rest = threading.Event()
    ollama.script("/api/chat", stream(line("first "), rest, line("second"), last()))
    with open_stream(server) as connection:
        early = read_until(connection, b"first ")
        assert b"second" not in early
        assert DONE.encode() not in early
        rest.set()
        late = read_until(connection, DONE.encode())
        assert b"second" in late


def test_the_response_ends_at_once_after_done_and_the_connection_lives_on(server: Server) -> None:
    with open_stream(server) as connection:
        data = read_until(connection, b"\r\n0\r\n\r\n")
        assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_until(connection, b'"ok"').startswith(b"HTTP/1.1 200 ")


def test_every_event_is_whole_in_the_chunk_that_carries_it(server: Server) -> None:
    with open_stream(server) as connection:
        data = read_until(connection, b"\r\n0\r\n\r\n")
    body = data.partition(b"\r\n\r\n")[2]
    while not body.startswith(b"0\r\n"):
        size, _, body = body.partition(b"\r\n")
        piece, body = body[: int(size, 16)], body[int(size, 16) + 2 :]
        assert piece.startswith((b"data: ", b":"))
        assert piece.endswith(b"\n\n")


# --- what the chunks say


def test_all_chunks_have_the_same_id_time_and_model(server: Server) -> None:
    chunks = chunks_of(server)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        assert chunk["id"].startswith("chatcmpl-")
        assert isinstance(chunk["created"], int)
        assert chunk["model"] == "practice"
        assert chunk["service_tier"] == "default"
        assert "system_fingerprint" in chunk


def test_the_role_is_said_once_and_first(server: Server) -> None:
    first, *others = deltas(chunks_of(server))
    assert first == {"role": "assistant", "content": "", "refusal": None}
    assert all("role" not in delta for delta in others)


def test_the_pieces_join_to_the_whole_answer(server: Server) -> None:
    fields: dict[str, Any] = {"messages": [{"role": "user", "content": "Tell me something."}], "seed": 3}
    pieces = chunks_of(server, **fields)
    assert len(pieces) > 5
    assert text_of(pieces) == chat(server, **fields).body["choices"][0]["message"]["content"]


def test_the_reason_is_told_once_on_an_empty_delta_at_the_end(server: Server) -> None:
    choices = [choice for chunk in chunks_of(server) for choice in chunk["choices"]]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert choices[-1]["delta"] == {}
    assert all(choice["logprobs"] is None for choice in choices)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"max_tokens": 4}, "length"), ({"stop": [" 7"]}, "stop"), ({"stop": "12"}, "stop")],
)
def test_streams_obey_limits_and_stop_strings(server: Server, fields: dict[str, Any], reason: str) -> None:
    chunks = chunks_of(server, **fields)
    assert chunks[-1]["choices"][0]["finish_reason"] == reason
    assert text_of(chunks) == chat(server, messages=ASK, **fields).body["choices"][0]["message"]["content"]
    assert " 12" not in text_of(chunks)


def test_usage_comes_last_and_alone_when_it_is_asked_for(server: Server) -> None:
    *chunks, end = chunks_of(server, stream_options={"include_usage": True})
    assert end["choices"] == []
    assert end["usage"]["total_tokens"] == end["usage"]["prompt_tokens"] + end["usage"]["completion_tokens"]
    assert end["usage"] == chat(server, messages=ASK).body["usage"]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert end["id"] == chunks[0]["id"]


@pytest.mark.parametrize(
    "options", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False}}]
)
def test_usage_is_not_mentioned_when_nobody_asked(server: Server, options: dict[str, Any]) -> None:
    for chunk in chunks_of(server, **options):
        assert "usage" not in chunk
        assert chunk["choices"]


def test_options_of_streams_are_harmless_without_a_stream(server: Server) -> None:
    assert chat(server, stream_options={"include_usage": True}).status == 200


def test_done_is_said_once_and_last(server: Server) -> None:
    answer = streamed(server)
    assert answer.raw.count(b"[DONE]") == 1
    assert answer.raw.endswith(b"data: [DONE]\n\n")


def test_nothing_is_sent_that_trips_strict_readers(server: Server) -> None:
    answer = streamed(server, model="practice-think", stream_options={"include_usage": True})
    for sent in answer.raw.split(b"\n"):
        assert sent == b"" or sent.startswith((b"data: ", b":")), sent
    assert all("error" not in chunk for chunk in answer.events[:-1])
    assert not answer.raw.startswith(b"\xef\xbb\xbf")


def test_padding_is_sent_only_when_it_is_asked_for(server: Server) -> None:
    assert all("obfuscation" not in chunk for chunk in chunks_of(server))
    padded = chunks_of(server, stream_options={"include_obfuscation": True})
    assert all(isinstance(chunk["obfuscation"], str) and chunk["obfuscation"] for chunk in padded)
    assert len({len(chunk["obfuscation"]) for chunk in padded}) > 1
    assert text_of(padded) == text_of(chunks_of(server))


# --- several choices


def test_two_choices_stream_side_by_side_and_the_first_comes_first(server: Server) -> None:
    chunks = chunks_of(server, n=2, seed=1, stream_options={"include_usage": True})
    indices = [choice["index"] for chunk in chunks for choice in chunk["choices"]]
    assert indices[0] == 0
    assert set(indices) == {0, 1}
    for index in (0, 1):
        said = deltas(chunks, index)
        assert said[0]["role"] == "assistant"
        assert sum("role" in delta for delta in said) == 1
        assert text_of(chunks, index) == "1 2 3 4 5 6 7 8 9 10 11 12"
    reasons = [
        (choice["index"], choice["finish_reason"])
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["finish_reason"]
    ]
    assert sorted(reasons) == [(0, "stop"), (1, "stop")]
    assert chunks[-1]["choices"] == []
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_the_first_choice_comes_first_though_the_second_is_faster(server: Server, ollama: FakeOllama) -> None:
    # Which of the two gets the slow answer is for the network to decide.
    slow, fast = stream(0.2, line("a"), last()), stream(line("b"), last())
    ollama.script("/api/chat", slow, fast)
    chunks = chunks_of(server, n=2)
    assert chunks[0]["choices"][0]["index"] == 0
    assert {text_of(chunks, 0), text_of(chunks, 1)} == {"a", "b"}


# --- letters


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_letters_of_many_bytes_are_never_split(server: Server, ollama: FakeOllama, size: int) -> None:
    texts = ["漢字", "🙈", "👩‍👩‍👧", "é", "\u2028", "שלום"]
    script = stream(*[line(text) for text in texts], last())
    raw = b"".join(step for step in script[2] if isinstance(step, bytes))
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    ollama.script("/api/chat", (script[0], script[1], pieces))
    chunks = chunks_of(server)
    said = [delta["content"] for delta in deltas(chunks) if delta.get("content")]
    assert said == texts


@pytest.mark.parametrize(
    "name", ["01-chat/gemma3-stream", "01-chat/jinja-tools-stream", "01-chat/plain-stream"]
)
def test_a_recorded_answer_streams_in_all_its_pieces(server: Server, ollama: FakeOllama, name: str) -> None:
    script = recorded(name)
    replies = [
        json.loads(text) for step in script[2] if isinstance(step, bytes) for text in step.splitlines()
    ]
    said = "".join(reply["message"]["content"] for reply in replies)
    ollama.script("/api/chat", script, recorded(name))
    chunks = chunks_of(server)
    assert text_of(chunks) == said
    assert chat(server).body["choices"][0]["message"]["content"] == said


# --- failures


@pytest.mark.parametrize(
    ("status", "text", "shown", "code"),
    [
        (404, "model 'practice' not found", 404, "model_not_found"),
        (400, '"practice" does not support thinking', 400, "unsupported_parameter"),
        (500, "model requires more system memory (9.0 GiB) than is available", 500, "model_load_failed"),
        (503, "server busy, please try again. maximum pending requests exceeded", 503, "server_overloaded"),
        (500, "llama runner process has terminated", 502, "upstream_error"),
    ],
)
def test_what_fails_before_the_first_word_is_an_http_error(
    server: Server, ollama: FakeOllama, status: int, text: str, shown: int, code: str
) -> None:
    ollama.script("/api/chat", error(status, text))
    answer = streamed(server)
    assert (answer.status, answer.error["code"]) == (shown, code)


def test_what_fails_in_the_first_line_is_an_http_error_too(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream({"error": "something broke"}))
    assert streamed(server).status == 502


def test_the_sdk_raises_at_once_for_a_stream_that_never_begins(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gone", messages=[{"role": "user", "content": "x"}], stream=True)


def broken(*steps: Any) -> Any:
    return stream(line("half an "), line("answer"), *steps)


BREAKS = [
    pytest.param(
        [{"error": "an error was encountered while running the model"}], "upstream_error", id="told"
    ),
    pytest.param(["close"], "upstream_truncated", id="closed"),
    pytest.param(["reset"], "upstream_broken", id="reset"),
    pytest.param([], "upstream_truncated", id="without an end"),
    pytest.param([b"rubbish\n"], "upstream_invalid_response", id="rubbish"),
]


@pytest.mark.parametrize(("steps", "code"), BREAKS)
def test_what_fails_after_the_first_word_is_the_last_event(
    server: Server, ollama: FakeOllama, steps: list[Any], code: str
) -> None:
    ollama.script("/api/chat", broken(*steps))
    answer = streamed(server, stream_options={"include_usage": True})
    assert answer.status == 200
    *chunks, end = answer.events
    assert text_of(chunks) == "half an answer"
    assert all(choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"])
    assert end.keys() == {"error"}
    assert end["error"].keys() == {"message", "type", "param", "code"}
    assert (end["error"]["type"], end["error"]["code"]) == ("server_error", code)


def test_the_sdk_raises_from_the_middle_of_a_stream_with_the_code(
    client: openai.OpenAI, ollama: FakeOllama
) -> None:
    ollama.script("/api/chat", broken({"error": "an error was encountered while running the model"}))
    said = []
    with pytest.raises(openai.APIError) as caught:  # noqa: PT012  # the words before it count too
        for chunk in client.chat.completions.create(
            model="practice", messages=[{"role": "user", "content": "x"}], stream=True
        ):
            said.append(chunk.choices[0].delta.content or "")
    assert "".join(said) == "half an answer"
    assert (caught.value.code, caught.value.type) == ("upstream_error", "server_error")


def test_a_whole_answer_that_breaks_is_an_error_and_not_half_an_answer(
    server: Server, ollama: FakeOllama
) -> None:
    ollama.script("/api/chat", broken("close"))
    answer = chat(server)
    assert (answer.status, answer.error["code"]) == (502, "upstream_truncated")


def test_a_caller_who_leaves_ends_the_generation(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(line("a"), 30.0, last()))
    with open_stream(server) as connection:
        read_until(connection, b'"a"')
    left = time.monotonic()
    generation = ollama.asked("/api/chat")[-1].connection
    ollama.await_that(lambda: generation.left is not None, "the end of the generation")
    assert time.monotonic() - left < 1
