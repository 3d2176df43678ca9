"""One table of cases for each endpoint: a request, what Ollama is asked, what it replies, what the caller gets.

The same files drive the tests of translation, of the blueprints and of the whole server. To stay small they say
only what is special; the rest is filled in here. A case has

    note         what it shows
    request      the caller's body, without `stream`; model `m` and one message or prompt `Hi` unless it says more
    settings     fields of `Policy`, and of `Settings`, that are not as usual
    show         what /api/show says of the model; nothing much by default
    asks         in order: `payload` (what Ollama is sent; see `_PAYLOAD`) and `replies`, or `refusal`: status, text
    whole_asks   where a whole answer takes other ways than a stream, since it can be asked again
    completion   the whole answer; see `_message`; `usage` is [prompt, completion, {"cached": …, "reasoning": …}]
    said         the choices of the stream, in order; see `_choices`
    headers      what the response says beside the answer, also of what happened on the way
    error        instead of an answer: status, code, param; `stream_error`, `whole_error` where only one fails
    only         `whole` or `stream`, for what the other cannot do

A reply is a text, or has some of `content` (`response` for completions), `thinking`, `calls` ([name, arguments]
each), `logprobs` ([token, logprob, top] each), and `done` (the reason) with `prompt`, `eval` and `cached`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from o2o.errors import Refused

_HERE = Path(__file__).parent
_HI: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "completions": {"model": "m", "prompt": "Hi"},
}
_PAYLOAD: dict[str, dict[str, Any]] = {
    "chat": {**_HI["chat"], "stream": True, "truncate": False},
    "completions": {**_HI["completions"], "stream": True, "truncate": False, "think": False, "raw": True},
}
"""What every payload has; a case says null for what one has not."""
_TEXT = {"chat": "content", "completions": "response"}

Reply = dict[str, Any]


class Asked(NamedTuple):
    """One thing that Ollama is asked, and what it says to that."""

    path: str
    payload: dict[str, Any]
    replies: list[Reply]
    refusal: Refused | None


@dataclass(frozen=True)
class Case:
    """One case of a table, with all that its file leaves out."""

    endpoint: str
    name: str
    data: dict[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a part of the case as it stands in its file, or `default`."""
        return self.data.get(key, default)

    def body(self, *, whole: bool) -> dict[str, Any]:
        """Return what the caller sends."""
        return {**_HI[self.endpoint], **self.data.get("request", {}), "stream": not whole}

    def asks(self, *, whole: bool) -> list[Asked]:
        """Return what Ollama is asked, in order."""
        asks = self.data.get("asks", [])
        return [self._asked(ask) for ask in (self.data.get("whole_asks", asks) if whole else asks)]

    def error(self, *, whole: bool) -> dict[str, Any] | None:
        """Return how the request fails; None when it does not."""
        found: dict[str, Any] | None = self.data.get("whole_error" if whole else "stream_error")
        return found if found is not None else self.data.get("error")

    def completion(self) -> dict[str, Any]:
        """Return the choices and the usage of the whole answer."""
        told = self.data["completion"]
        choices = [_whole(self.endpoint, one, at) for at, one in enumerate(told.get("choices", [told]))]
        return {"choices": choices, "usage": usage(*told["usage"])}

    def choices(self) -> list[dict[str, Any]]:
        """Return the choices of the stream."""
        return _choices(self.endpoint, self.data["said"])

    def _asked(self, ask: dict[str, Any]) -> Asked:
        payload = {**_PAYLOAD[self.endpoint], **ask.get("payload", {})}
        refusal = ask.get("refusal")
        return Asked(
            "chat" if self.endpoint == "chat" else "generate",
            {key: value for key, value in payload.items() if value is not None},
            [reply(self.endpoint, one) for one in ask.get("replies", [])],
            Refused(refusal[0], refusal[1], midway="replies" in ask) if refusal else None,
        )


def cases(endpoint: str) -> list[Case]:
    """Return all cases of an endpoint, by name."""
    files = sorted((_HERE / endpoint).glob("*.json"))
    return [Case(endpoint, path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in files]


def played(endpoint: str) -> list[Any]:
    """Return (case, whole) for every case and both ways of answering that it has, for parametrize."""
    return [
        pytest.param(case, whole, id=f"{case.name}-{'whole' if whole else 'stream'}")
        for case in cases(endpoint)
        for whole in (True, False)
        if case.get("only") != ("stream" if whole else "whole")
    ]


def reply(endpoint: str, one: str | dict[str, Any]) -> Reply:
    """Return a reply of Ollama's from its short form."""
    told = {_TEXT[endpoint]: one} if isinstance(one, str) else one
    made: Reply = {"model": "m", "created_at": "2026-11-23T09:00:00Z", "done": "done" in told}
    text = told.get(_TEXT[endpoint], "")
    if endpoint == "chat":
        message = made["message"] = {"role": "assistant", "content": text}
        if "thinking" in told:
            message["thinking"] = told["thinking"]
        if "calls" in told:
            message["tool_calls"] = [
                {"id": f"call_of_ollama_{at}", "function": {"index": 0, "name": name, "arguments": arguments}}
                for at, (name, arguments) in enumerate(told["calls"])
            ]
    else:
        made["response"] = text
        if "thinking" in told:
            made["thinking"] = told["thinking"]
    if "logprobs" in told:
        made["logprobs"] = [_entry(*entry) for entry in told["logprobs"]]
    if "done" in told:
        made["done_reason"] = told["done"]
        made |= {
            name: told[short]
            for short, name in (
                ("prompt", "prompt_eval_count"),
                ("eval", "eval_count"),
                ("cached", "prompt_eval_cached_count"),
            )
            if short in told
        }
    return made


def _entry(token: str, logprob: float, top: list[Any] | None = None) -> dict[str, Any]:
    entry = {"token": token, "logprob": logprob, "bytes": list(token.encode())}
    return entry if top is None else {**entry, "top_logprobs": [_entry(*other) for other in top]}


def usage(prompt: int, completion: int, details: dict[str, int] | None = None) -> dict[str, Any]:
    """Return OpenAI's usage."""
    told = details or {}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": told.get("cached", 0), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": told.get("reasoning", 0),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


# --- what the caller gets


def _logprobs(entries: list[Any] | None) -> dict[str, Any] | None:
    if entries is None:
        return None
    full = [
        {**_entry(*one[:2]), "top_logprobs": [_entry(*t) for t in (one[2:] or [[]])[0]]} for one in entries
    ]
    return {"content": full, "refusal": None}


def _call(name: str, arguments: Any, number: int) -> dict[str, Any]:
    """Return a call; its arguments are an object, or a text for a custom tool."""
    call: dict[str, Any] = {"id": f"call_{number}"}
    if isinstance(arguments, str):
        return {**call, "type": "custom", "custom": {"name": name, "input": arguments}}
    text = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
    return {**call, "type": "function", "function": {"name": name, "arguments": text}}


def _whole(endpoint: str, told: dict[str, Any], at: int) -> dict[str, Any]:
    """Return a whole choice from its short form: `content`, `reasoning` (under both names), `calls`, `finish`, …"""
    choice: dict[str, Any] = {"index": at, "finish_reason": told["finish"], "logprobs": None}
    if endpoint == "completions":
        return {**choice, "text": told["text"], "logprobs": told.get("logprobs")}
    message: dict[str, Any] = {"role": "assistant", "content": told.get("content"), "refusal": None}
    if "reasoning" in told:
        message |= {"reasoning_content": told["reasoning"], "reasoning": told["reasoning"]}
    if "calls" in told:
        message["tool_calls"] = [_call(name, given, at) for at, (name, given) in enumerate(told["calls"], 1)]
    message |= told.get("message", {})
    return {**choice, "message": message, "logprobs": _logprobs(told.get("logprobs"))}


def _choices(endpoint: str, said: list[Any]) -> list[dict[str, Any]]:
    """Return the choices of a stream from their short forms.

    `role` is how an answer opens; a text is content; `call` is a call in its two fragments, which opens the answer
    when nothing did; `reasoning` stands for both names; `finish` is the end; anything else is a delta.
    """
    made: list[dict[str, Any]] = []
    for one in said:
        told: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if one != "role":
            told = {"content" if endpoint == "chat" else "text": one} if isinstance(one, str) else dict(one)
        index, finish, logprobs = (told.pop(key, None) for key in ("index", "finish", "logprobs"))
        if endpoint == "completions":
            choice = {"index": index or 0, "text": told.get("text", ""), "logprobs": logprobs}
            made.append({**choice, "finish_reason": finish})
            continue
        deltas = [told]
        if "reasoning" in told and len(told) == 1:
            deltas = [{"reasoning_content": told["reasoning"], "reasoning": told["reasoning"]}]
        if "call" in told:
            deltas = _fragments(*told["call"], number=_calls_in(made), opens=not made)
        made += [
            {
                "index": index or 0,
                "delta": delta,
                "logprobs": _logprobs(logprobs),
                "finish_reason": finish,
            }
            for delta in deltas
        ]
    return made


def _calls_in(made: list[dict[str, Any]]) -> int:
    return sum("id" in call for choice in made for call in choice["delta"].get("tool_calls", ()))


def _fragments(name: str, arguments: Any, *, number: int, opens: bool) -> list[dict[str, Any]]:
    call = {"index": number, **_call(name, arguments, number + 1)}
    kind = call["type"]
    key = "input" if kind == "custom" else "arguments"
    opening = {"role": "assistant", "content": None, "refusal": None} if opens else {}
    return [
        {**opening, "tool_calls": [{**call, kind: {**call[kind], key: ""}}]},
        {"tool_calls": [{"index": number, kind: {key: call[kind][key]}}]},
    ]


IGNORED_KEYS = ("id", "created", "system_fingerprint")


def plain(value: Any) -> Any:
    """Return an answer without what differs from run to run: ids, times and fingerprints."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in IGNORED_KEYS}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
