"""The practice upstream beside recordings of a real one: the same request, the same shape of answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests

from o2o.practice import PracticeServer
from tests import replay

MODELS = (("think", "practice-think"), ("parser-think", "practice-think"), ("all-minilm", "practice-embed"))
SHAPES = [
    *replay.names("00-server"),
    "01-chat/echo-stream",
    "01-chat/echo-nonstream",
    "02-length-stop/echo-length-stream",
    "03-thinking/think-unset-stream",
    "03-thinking/think-unset-nonstream",
    "03-thinking/think-false-stream",
    "03-thinking/think-length-in-thinking",
    "04-one-tool-call/tools-stream",
    "04-one-tool-call/tools-nonstream",
    "05-tool-calls-variants/tools-two-calls-stream",
    "05-tool-calls-variants/tools-cut-in-arguments-stream",
    "09-format/echo-simple-stream",
    "09-format/think-think-unset-stream",
    "10-logprobs/echo-top2-stream",
    "10-logprobs/echo-top2-nonstream",
    "10-logprobs/echo-top0-stream",
    "11-generate/raw-stream",
    "11-generate/templated-stream",
    "11-generate/suffix-stream",
    "11-generate/suffix-debug",
    "11-generate/logprobs-stream",
    "11-generate/empty-prompt-load",
    "11-generate/keep-alive-0-unload",
    "11-generate/prompt-null",
    "12-embed/one",
    "12-embed/many",
    "12-embed/dimensions-4",
    "12-embed/empty-list",
    "12-embed/missing-input",
    "12-embed/list-with-empty-string",
    "23-prefill/echo-trailing-assistant",
]
ELSEWHERE = {
    "04-one-tool-call/echo-tools-unsupported": "practice-vision",
    "11-generate/suffix-unsupported": "practice-vision",
}
REFUSED = [
    name
    for group in "03-thinking 04-one-tool-call 07-tool-schemas 09-format 11-generate 12-embed 15-errors".split()
    for name in replay.names(group)
    if replay.status(replay.load(name)) >= 300
    and replay.load(name)["path"] != "native"
    # The practice model takes longer texts than the recorded one.
    and not name.startswith("12-embed/too-long")
]


def send(practice: PracticeServer, session: requests.Session, name: str) -> requests.Response:
    """Send the recorded request, for a practice model of the same kind."""
    method, path, body = replay.request(replay.load(name))
    for start, model in MODELS:
        body = re.sub(rb'("model": ?")%b[^"]*' % start.encode(), rb"\1" + model.encode(), body)
    other = ELSEWHERE.get(name, "practice").encode()
    body = re.sub(rb'("model": ?")(?!practice|nosuch|x:cloud|a b|")[^"]*', rb"\1" + other, body)
    return session.request(method, practice.url + path, data=body, timeout=10, allow_redirects=False)


def shape(value: Any) -> Any:
    """Return keys and types; of lists the kinds of entries; what a tool is called with does not matter."""
    if isinstance(value, dict):
        return frozenset((key, key == "arguments" or shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return ("list", frozenset(map(shape, value)))
    return type(value).__name__


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


@pytest.mark.parametrize("name", SHAPES)
def test_answers_look_like_recorded_ones(
    practice: PracticeServer, session: requests.Session, name: str
) -> None:
    recording = replay.load(name)
    if name == "00-server/ps":
        session.post(practice.url + "/api/generate", json={"model": "practice"}, timeout=10)
    response = send(practice, session, name)
    assert response.status_code == replay.status(recording)
    assert response.headers["Content-Type"] == replay.headers(recording)["content-type"]
    if "json" not in response.headers["Content-Type"]:
        assert response.content == replay.replies_bytes(recording)
    elif name.startswith("00-server/show"):
        assert set(response.json()) - {"parameters"} <= set(lines(replay.replies_bytes(recording))[0])
    elif name.startswith("00-server/tags"):
        assert shape(response.json()["models"][0]) == shape(
            lines(replay.replies_bytes(recording))[0]["models"][0]
        )
    else:
        theirs, ours = lines(replay.replies_bytes(recording)), lines(response.content)
        assert shape(ours[-1]) == shape(theirs[-1])
        assert {shape(line) for line in theirs[:-1]} == {shape(line) for line in ours[:-1]}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_ollama_said(
    practice: PracticeServer, session: requests.Session, name: str
) -> None:
    recording = replay.load(name)
    response = send(practice, session, name)
    assert response.status_code == replay.status(recording)
    for header in ("Content-Type", "Transfer-Encoding", "Allow", "Location"):
        assert response.headers.get(header) == replay.headers(recording).get(header.lower())
    assert _nameless(response.content) == _nameless(replay.replies_bytes(recording))


def _nameless(body: bytes) -> bytes:
    return re.sub(rb"[a-z0-9-]+:(270m|latest)|all-minilm|practice[a-z-]*", b"MODEL", body)


@pytest.mark.parametrize("stream", [True, False])
def test_overflow_is_refused_with_both_numbers_inside_json_inside_json(
    practice: PracticeServer, session: requests.Session, stream: bool
) -> None:
    recording = replay.load("13-overflow/gemma3-history-truncate-false" + "-stream" * stream)
    response = send(practice, session, f"{recording['group']}/{recording['name']}")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == replay.headers(recording)["content-type"]
    ours, theirs = json.loads(response.content), json.loads(replay.replies_bytes(recording))
    inner = json.loads(ours["error"])["error"]
    assert inner["n_prompt_tokens"] > inner["n_ctx"] == 512
    assert re.sub(r"\d+", "N", ours["error"]) == re.sub(r"\d+", "N", theirs["error"])


@pytest.mark.parametrize("name", replay.names("21-host-origin"))
def test_strangers_get_an_empty_403(practice: PracticeServer, session: requests.Session, name: str) -> None:
    asked = replay.load(name)["exchanges"][0]["request"]
    headers = {key: value for key, value in asked["headers"] if key in ("Host", "Origin")}
    headers = {key: value for key, value in headers.items() if "evil" in value}
    response = session.request(
        asked["method"], practice.url + asked["path"], headers=headers, data=asked["body"], timeout=10
    )
    assert (response.status_code, response.content) == (403, b"")


def test_escapes_are_go_s(practice: PracticeServer, session: requests.Session) -> None:
    said = "say: <a> & b\u2028"
    body = {"model": "practice", "messages": [{"role": "user", "content": said}], "stream": False}
    response = session.post(practice.url + "/api/chat", json=body, timeout=10)
    assert rb'"content":"\u003ca\u003e \u0026 b\u2028"' in response.content
