"""What a real Ollama sent becomes what OpenAI would say, however the bytes are cut on their way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from o2o.errors import O2OError
from o2o.generation import run
from o2o.translate import completions, speaker
from o2o.translate.policy import Policy
from o2o.translate.turn import Choice
from o2o.upstream.client import HTTPUpstream
from o2o.upstream.line import Line
from tests import replay
from tests.driving import chat_turns, completion_turns
from tests.replay import Cuts, Recording, ReplayServer

HI = {
    "/api/chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "/api/generate": {"model": "m", "prompt": "Hi"},
}

FAILURES: dict[str, tuple[int, str | None, str | None]] = {
    "03-thinking/echo-think-high": (400, "unsupported_parameter", "reasoning_effort"),
    "03-thinking/jinja-tools-think-true": (400, "unsupported_parameter", "reasoning_effort"),
    "03-thinking/think-bad-value": (400, "invalid_value", "reasoning_effort"),
    "03-thinking/think-number": (400, "invalid_value", "reasoning_effort"),
    "04-one-tool-call/echo-tools-unsupported": (400, "unsupported_parameter", "tools"),
    "04-one-tool-call/parser-think-stream": (502, "tool_call_parse_error", None),
    "05-tool-calls-variants/parser-harmony-broken-stream": (502, "tool_call_parse_error", None),
    "05-tool-calls-variants/parser-qwen35-broken-stream": (502, "tool_call_parse_error", None),
    "05-tool-calls-variants/parser-think-broken-json-stream": (502, "tool_call_parse_error", None),
    "05-tool-calls-variants/parser-think-unknown-tool-stream": (502, "tool_call_parse_error", None),
    "05-tool-calls-variants/tools-broken-json-stream": (502, "tool_call_parse_error", None),
    "05-tool-calls-variants/tools-unknown-tool-stream": (502, "tool_call_parse_error", None),
    "07-tool-schemas/jinja-tools-missing-parameters-call": (400, "invalid_function_parameters", "tools"),
    "08-tools-and-format/think-tools-forced-stream": (502, "tool_call_parse_error", None),
    "09-format/echo-bad-ref-stream": (400, None, "response_format"),
    "09-format/echo-yaml-stream": (400, "invalid_value", "response_format"),
    "10-logprobs/jinja-tools-call-stream": (400, "unsupported_parameter", "logprobs"),
    "11-generate/prompt-array": (400, None, None),
    "11-generate/raw-with-system": (400, None, None),
    "11-generate/suffix-unsupported": (400, "unsupported_parameter", "suffix"),
    "13-overflow/gemma3-history-truncate-false-stream": (400, "context_length_exceeded", "messages"),
    "13-overflow/gemma3-jinja-history-truncate-false-stream": (400, "context_length_exceeded", "messages"),
    "15-errors/bad-name-chat": (400, "invalid_value", "model"),
    "15-errors/body-bom": (400, None, None),
    "15-errors/chat-arguments-string": (400, None, None),
    "15-errors/chat-content-array": (400, None, None),
    "15-errors/chat-messages-string": (400, None, None),
    "15-errors/chat-on-embedding-model": (400, None, "model"),
    "15-errors/chat-tools-object": (400, None, None),
    "15-errors/cloud-local-chat": (400, "invalid_value", "model"),
    "15-errors/empty-model-chat": (400, "invalid_value", "model"),
    "15-errors/empty-model-generate": (404, "model_not_found", "model"),
    "15-errors/generate-on-embedding-model": (400, None, "model"),
    "15-errors/image-broken-base64": (400, "invalid_image", "messages"),
    "15-errors/image-on-text-model-native": (400, "unsupported_content", "messages"),
    "15-errors/image-on-text-model-rendered": (400, "unsupported_content", "messages"),
    "15-errors/missing-model-chat": (400, "invalid_value", "model"),
    "15-errors/options-list": (400, None, None),
    "15-errors/top-logprobs-21": (400, "invalid_value", "top_logprobs"),
    "15-errors/unknown-model-chat": (404, "model_not_found", "model"),
    "15-errors/unknown-model-generate": (404, "model_not_found", "model"),
    "16-midstream-failure/gemma3-jinja-kill-stream#0": (502, "upstream_error", None),
    "16-midstream-failure/gemma3-kill-stream#0": (502, "upstream_error", None),
    "16-midstream-failure/native-unparsable-tool-call-after-text-stream": (
        502,
        "tool_call_parse_error",
        None,
    ),
    "16-midstream-failure/native-unparsable-tool-call-stream": (502, "tool_call_parse_error", None),
    "17-repeat-guard/echo-chat-stream": (502, "upstream_truncated", None),
    "17-repeat-guard/gemma3-generate-stream": (502, "upstream_truncated", None),
    "18-queue-full/max-queue-1#0": (503, "server_overloaded", None),
    "18-queue-full/max-queue-1#1": (503, "server_overloaded", None),
    "20-disconnect/abort-during-generation#0": (502, "upstream_truncated", None),
    "22-cloud/disabled-chat": (403, None, "model"),
    "22-cloud/no-key-chat": (502, "upstream_auth_error", None),
    "22-cloud/no-network-chat": (502, "upstream_error", None),
}
"""Status, code and param of everything that failed."""

CUTS: list[tuple[Cuts, int]] = [("whole", 0), ("bytes", 0), ("random", 1), ("random", 2)]


@dataclass(frozen=True)
class Recorded:
    """One recorded stream."""

    name: str
    asked: dict[str, Any]
    recording: Recording

    @property
    def path(self) -> str:
        return str(replay.request(self.recording)[1])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return replay.replies(self.recording)

    @property
    def prefill(self) -> str:
        """The caller's own beginning of the answer, if the last message is one."""
        messages = self.asked.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else {}
        return str(last.get("content", "")) if last.get("role") == "assistant" else ""

    @property
    def forced(self) -> bool:
        """Whether the schema that was sent makes the answer a call."""
        return "tools" in self.asked and '"name"' in json.dumps(self.asked.get("format"))

    # --- what the lines say

    @property
    def reason(self) -> str:
        """Why it ended: by the limit also where a call was cut, which Ollama tells as an error."""
        return "length" if self.lines[-1].get("done_reason") in ("length", None) else "stop"

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """All calls of tools that were offered."""
        if self.forced and not any("tool_calls" in message for message in self._messages):
            call = json.loads(self._joined("content") or self._joined("thinking"))
            return [(call["name"], call.get("arguments", call.get("parameters")))]
        called = [call["function"] for message in self._messages for call in message.get("tool_calls", ())]
        return [(call["name"], call["arguments"]) for call in called] if "tools" in self.asked else []

    @property
    def text(self) -> str:
        """The content, without a beginning that was the caller's own; or the thinking in its place."""
        if self.forced:
            return ""
        text = self._joined("content").removeprefix(self.prefill)
        return text or (self._joined("thinking") if self._swapped else "")

    @property
    def thinking(self) -> str:
        return "" if self._swapped else self._joined("thinking")

    @property
    def _swapped(self) -> bool:
        """Whether a parser took the answer for thinking."""
        calls = self.forced or any("tool_calls" in message for message in self._messages)
        off = self.asked.get("think") is False
        return off and not self._joined("content") and (self.forced or not calls)

    @property
    def _messages(self) -> list[dict[str, Any]]:
        return [line["message"] for line in self.lines if "message" in line]

    def _joined(self, name: str) -> str:
        return "".join(message.get(name, "") for message in self._messages)

    def body(self) -> dict[str, Any]:
        """Return a caller's body that would have made Ollama answer so."""
        asked, body = self.asked, dict[str, Any](model="m", stream=True)
        for name in ("tools", "format", "think", "suffix", "raw"):
            if name in asked:
                body[name] = asked[name]
        options = asked.get("options")
        if isinstance(options, dict) and options.get("num_predict"):
            body["max_tokens"] = options["num_predict"]
        if self.path == "/api/generate":
            body |= {"prompt": asked.get("prompt") or "Hi"}
            if "logprobs" in asked:
                body["logprobs"] = asked.get("top_logprobs", 0)
            return body
        body["messages"] = [{"role": "user", "content": "Hi"}]
        if self.prefill:
            body["messages"].append({"role": "assistant", "content": self.prefill})
        if "logprobs" in asked:
            body |= {"logprobs": True, "top_logprobs": asked.get("top_logprobs", 0)}
        if self.forced:
            body["tool_choice"] = "required"
            del body["format"]
        return body


def recorded() -> Iterator[Recorded]:
    """Yield every stream of a chat or a generation that was recorded, each as a recording of its own."""
    for name in replay.names():
        recording = replay.load(name)
        for at, exchange in enumerate(recording["exchanges"]):
            method, path, body = replay.request(recording, at)
            asked = _object(body)
            if method != "POST" or path not in ("/api/chat", "/api/generate") or asked is None:
                continue
            if asked.get("stream", True) is True and "_debug_render_only" not in asked:
                label = name if len(recording["exchanges"]) == 1 else f"{name}#{at}"
                yield Recorded(label, asked, {**recording, "exchanges": [exchange]})


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    return asked if isinstance(asked, dict) else None


def turn_for(one: Recorded) -> Any:
    """Return the turn that asks what was asked; where o2o would not ask that, any turn."""
    make: Any = chat_turns if one.path == "/api/chat" else completion_turns
    try:
        [turn] = make(one.body(), Policy())
    except O2OError:
        [turn] = make(HI[one.path], Policy())
    return turn


class Player:
    """Plays one recording again and again, over real connections."""

    def __init__(self, one: Recorded) -> None:
        self._one = one
        self._server = ReplayServer(one.recording)

    def __enter__(self) -> Player:
        self._server.__enter__()
        self._upstream = HTTPUpstream(self._server.url)
        return self

    def __exit__(self, *failure: Any) -> None:
        self._upstream.close()
        self._server.__exit__(*failure)

    def play(self, cuts: Cuts, seed: int = 0) -> tuple[list[Choice], O2OError | None]:
        """Return what is said, and the failure if it is one."""
        self._server.cuts, self._server.seed = cuts, seed
        said: list[Choice] = []
        running = run(turn_for(self._one), self._upstream, Line())
        try:
            while True:
                came = next(running)
                said += came or []
        except StopIteration as stop:
            return said + stop.value, None
        except O2OError as error:
            return said, error


def replayed(one: Recorded) -> tuple[list[Choice], O2OError | None]:
    """Return what is said of a recorded answer as it was recorded."""
    with Player(one) as player:
        return player.play("recorded")


def fold(one: Recorded, said: list[Choice]) -> dict[str, Any]:
    """Return the one whole choice that was said."""
    folded = speaker.fold(said) if one.path == "/api/chat" else completions.fold(said)
    assert len(folded) == 1
    return folded[0]


RECORDED = list(recorded())
GOOD = [one for one in RECORDED if one.name not in FAILURES]
each = pytest.mark.parametrize("one", RECORDED, ids=lambda one: one.name)


@each
def test_the_same_is_said_however_the_bytes_are_cut(one: Recorded) -> None:
    with Player(one) as player:
        said, error = player.play("recorded")
        for cuts, seed in CUTS:
            again, failure = player.play(cuts, seed)
            assert said == again
            assert repr(error) == repr(failure)


@pytest.mark.parametrize("one", GOOD, ids=lambda one: one.name)
def test_what_is_said_is_what_the_lines_say(one: Recorded) -> None:
    said, error = replayed(one)
    assert error is None
    choice = fold(one, said)
    if one.path == "/api/generate":
        text = "".join(line["response"] for line in one.lines)
        assert (choice["text"], choice["finish_reason"]) == (text, one.reason)
        return
    message = choice["message"]
    calls = [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", ())
    ]
    assert calls == one.calls
    assert message["content"] == (one.text or (None if calls else ""))
    assert message.get("reasoning", "") == one.thinking
    assert choice["finish_reason"] == ("tool_calls" if calls else one.reason)


@pytest.mark.parametrize("one", [one for one in GOOD if "logprobs" in one.asked], ids=lambda one: one.name)
def test_log_probabilities_join_to_the_content(one: Recorded) -> None:
    said, _ = replayed(one)
    for choice in said:
        told = choice["logprobs"]
        if one.path == "/api/generate":
            assert "".join(told["tokens"] if told else ()) == choice["text"]
        elif choice["delta"].get("content"):
            assert "".join(entry["token"] for entry in told["content"]) == choice["delta"]["content"]
            tops = {len(entry["top_logprobs"]) for entry in told["content"]}
            assert tops == {one.asked.get("top_logprobs", 0)}
        else:
            assert told is None


@pytest.mark.parametrize("one", [one for one in RECORDED if one.name in FAILURES], ids=lambda one: one.name)
def test_what_fails_is_told_as_openai_would(one: Recorded) -> None:
    said, error = replayed(one)
    assert error is not None
    assert (error.http_status, error.code, error.param) == FAILURES[one.name]
    assert not any(choice["finish_reason"] for choice in said)
    if one.path == "/api/chat" and replay.status(one.recording) == 200 and not one.forced:
        content = "".join(choice["delta"].get("content", "") for choice in said)
        assert content == "".join(line["message"]["content"] for line in one.lines if "message" in line)


def test_every_failure_was_recorded() -> None:
    assert set(FAILURES) <= {one.name for one in RECORDED}
    assert len(RECORDED) > 130
