"""What every answer has, whichever endpoint gave it: request ids, the envelope, statuses, headers."""

from __future__ import annotations

import http.client
import re

import openai
import pytest

from tests.e2e import wire
from tests.e2e.wire import ask, chat, parse, post, talk
from tests.ollama import FakeOllama, error
from tests.server import Server

REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")
MESSAGES = [{"role": "user", "content": "say: hi"}]
STREAM = {"model": "practice", "messages": MESSAGES, "stream": True}

ANSWERS = [
    pytest.param("GET", "/v1/models", None, 200, id="a list"),
    pytest.param(
        "POST", "/v1/chat/completions", {"model": "practice", "messages": MESSAGES}, 200, id="a completion"
    ),
    pytest.param("POST", "/v1/chat/completions", STREAM, 200, id="a stream"),
    pytest.param("POST", "/v1/embeddings", {"model": "practice-embed", "input": "hi"}, 200, id="embeddings"),
    pytest.param("GET", "/healthz", None, 200, id="health"),
    pytest.param("OPTIONS", "/v1/models", None, 204, id="a preflight"),
    pytest.param("POST", "/v1/chat/completions", b"{", 400, id="no JSON"),
    pytest.param(
        "POST", "/v1/chat/completions", {"model": "gone", "messages": MESSAGES}, 404, id="no such model"
    ),
    pytest.param("GET", "/v1/nowhere", None, 404, id="no such path"),
    pytest.param("PUT", "/v1/models", None, 405, id="wrong method"),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
def test_every_answer_has_a_request_id_and_the_headers_of_openai(
    server: Server, method: str, path: str, body: object, status: int
) -> None:
    answer = ask(server, method, path, body)
    assert answer.status == status
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    assert answer.headers["openai-version"] == "2020-10-01"
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_two_answers_have_the_same_request_id(server: Server) -> None:
    ids = [ask(server, "GET", path).headers["x-request-id"] for path in ("/", "/v1/nowhere", "/healthz")]
    ids += [chat(server, stream=stream).headers["x-request-id"] for stream in (True, False)]
    assert len(set(ids)) == len(ids)


def test_the_sdk_sees_the_request_id_of_answers_and_of_errors(client: openai.OpenAI, server: Server) -> None:
    response = client.chat.completions.with_raw_response.create(
        model="practice", messages=[{"role": "user", "content": "hi"}]
    )
    assert response.request_id == response.headers["x-request-id"]
    assert response.parse()._request_id == response.request_id
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gone")
    assert caught.value.request_id is not None
    assert REQUEST_ID.fullmatch(caught.value.request_id)
    server.await_log(lambda log: f"id={caught.value.request_id}" in log, "a line with the id of the error")


def test_a_request_id_of_the_caller_is_not_taken_for_ours(server: Server) -> None:
    answer = ask(server, "GET", "/healthz", headers={"X-Request-ID": "req_" + "0" * 32})
    assert answer.headers["x-request-id"] != "req_" + "0" * 32


# --- the envelope


ERRORS = [
    pytest.param("GET", "/v1/nowhere", None, 404, id="not found"),
    pytest.param("DELETE", "/v1/chat/completions", None, 405, id="wrong method"),
    pytest.param("TRACE", "/v1/chat/completions", None, 405, id="unusual method"),
    pytest.param("POST", "/v1/chat/completions", b"{", 400, id="bad body"),
    pytest.param("GET", "/v1/models/gone", None, 404, id="unknown model"),
    pytest.param("GET", "/v1/%00%0d%0a", None, 404, id="odd path"),
    pytest.param("GET", "/v1/" + "x" * 3000, None, 404, id="long path"),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ERRORS)
def test_every_error_comes_in_the_envelope(
    server: Server, method: str, path: str, body: bytes | None, status: int
) -> None:
    answer = ask(server, method, path, body)
    assert answer.status == status
    assert answer.error["type"] == "invalid_request_error"
    assert len(answer.error["message"]) < 500


def test_an_announced_body_that_is_too_large_is_refused_before_it_was_sent(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=wire.PATIENCE)
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Content-Length", "99999999999")
    connection.endheaders()
    response = connection.getresponse()
    answer = wire.Answer(response.status, wire.headers_of(response), response.read())
    connection.close()
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])


def test_a_failure_of_ollama_comes_in_the_envelope(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", error(500, "something broke in /home/somebody"))
    answer = chat(server)
    assert (answer.status, answer.error["type"]) == (502, "server_error")
    assert "/home/" not in answer.error["message"]


MALFORMED = [
    pytest.param(b"NONSENSE\r\n\r\n", 400, id="no request line"),
    pytest.param(b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400, id="a header without a colon"),
    pytest.param(b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, id="no such version"),
    pytest.param(b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, id="no length"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, id="too many headers"),
    pytest.param(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, id="too long a line"),
    pytest.param(
        b"GET / HTTP/1.1\r\nTransfer-Encoding: zip, chunked\r\n\r\n", 501, id="a transfer coding nobody has"
    ),
]


@pytest.mark.parametrize(("sent", "status"), MALFORMED)
def test_what_gunicorn_itself_refuses_comes_in_the_envelope(server: Server, sent: bytes, status: int) -> None:
    answer = parse(talk(server, sent))
    assert answer.status == status
    assert answer.error["type"] in ("invalid_request_error", "server_error")
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    assert ask(server, "GET", "/healthz").status == 200


# --- paths and methods


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_url_is_named_with_its_method(server: Server, method: str) -> None:
    answer = ask(server, method, "/v1/foo", None if method == "GET" else {})
    assert answer.status == 404
    assert answer.error["message"] == f"Invalid URL ({method} /v1/foo)"
    assert answer.error["code"] is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/embeddings", "POST"),
        ("PATCH", "/v1/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/v1/models/practice", "DELETE"),
    ],
)
def test_a_wrong_method_is_told_which_ones_are_right(
    server: Server, method: str, path: str, allowed: str
) -> None:
    answer = ask(server, method, path, {})
    assert answer.status == 405
    assert allowed in answer.headers["allow"].split(", ")
    assert answer.error["message"].startswith(f"Not allowed to {method} on {path}.")


# --- content types


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8", ""]
)
def test_json_by_any_of_its_names_or_none_is_accepted(server: Server, kind: str) -> None:
    assert chat(server, {"Content-Type": kind}).status == 200


def test_json_without_any_content_type_is_accepted(server: Server) -> None:
    body = b'{"model":"practice","messages":[{"role":"user","content":"hi"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert parse(talk(server, head % len(body), body)).status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_other_content_types_are_refused_by_name(server: Server, kind: str) -> None:
    answer = chat(server, {"Content-Type": kind})
    assert (answer.status, answer.error["code"]) == (400, "unsupported_content_type")
    assert kind in answer.error["message"]


def test_what_a_caller_accepts_is_never_asked(server: Server) -> None:
    assert chat(server, {"Accept": "text/event-stream"}).status == 200
    answer = chat(server, {"Accept": "application/json"}, stream=True)
    assert answer.events[-1] == wire.DONE


# --- for those who look whether somebody is there


@pytest.mark.parametrize("path", ["/", "/health", "/healthz", "/readyz", "/v1", "/v1/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_curious_visitor_gets_a_quick_answer(server: Server, method: str, path: str) -> None:
    answer = ask(server, method, path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.raw == b"") == (method == "HEAD")


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/embeddings"])
def test_a_body_of_another_encoding_is_refused(server: Server, path: str) -> None:
    answer = post(server, path, b"\x1f\x8b", {"Content-Encoding": "gzip"})
    assert (answer.status, answer.error["code"]) == (415, "unsupported_content_encoding")
