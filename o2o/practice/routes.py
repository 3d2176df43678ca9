"""Ollama's endpoints without a network: a request in, what is to be answered out.

`Ollama.answer` never raises for a bad request; the answer carries Ollama's status and words.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from o2o.practice import bodies, embed, faults, models, options
from o2o.practice.faults import Fault
from o2o.practice.generation import Speech
from o2o.practice.models import Model
from o2o.practice.speaking import Request, bare_prompt, speak, window_of

KEEP_ALIVE = 300.0
_FOREVER = 3.2e8
_LOAD_NS, _LOADED_NS = 2_500_000, 150_000


@dataclass(frozen=True)
class Whole:
    """An answer that is one body: JSON for an object, plain text for a string."""

    status: int
    body: dict[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)
    as_stream: bool = False
    """The error of a stream that never began: chunked, and without a charset."""


@dataclass(frozen=True)
class Spoken:
    """A generated answer: as lines, or folded into one object at the end."""

    speech: Speech
    stream: bool


Answer = Whole | Spoken


def rfc3339(seconds: float) -> str:
    """Return a time as Ollama writes it: UTC, nine decimals, Z."""
    whole, nanos = divmod(int(seconds * 1e9), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{nanos:09d}Z"


class Ollama:
    """The practice models behind Ollama's paths; remembers only what is loaded, for `/api/ps`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._loaded: dict[str, tuple[Model, float, int]] = {}
        self._lock = threading.Lock()
        post, get = ("POST",), ("GET", "HEAD")
        self._routes: Mapping[str, tuple[tuple[str, ...], Callable[[bytes], Answer]]] = {
            "/": (get, lambda raw: Whole(200, "Ollama is running")),
            "/api/version": (get, lambda raw: Whole(200, {"version": models.VERSION})),
            "/api/tags": (get, lambda raw: Whole(200, models.tags())),
            "/api/ps": (("GET",), lambda raw: Whole(200, self._ps())),
            "/api/show": (post, self._show),
            "/api/chat": (post, self._chat),
            "/api/generate": (post, self._generate),
            "/api/embed": (post, self._embed),
        }

    def answer(self, method: str, target: str, raw: bytes) -> Answer:
        """Return the answer to one request; `target` may have a query, which Ollama ignores."""
        path = target.partition("?")[0]
        tidy = "/" + "/".join(part for part in path.split("/") if part)
        if path not in self._routes and tidy in self._routes:
            return Whole(307, "", {"Location": tidy})
        if path not in self._routes:
            return Whole(404, "404 page not found")
        methods, route = self._routes[path]
        if method not in methods:
            return Whole(405, "405 method not allowed", {"Allow": ", ".join(methods)})
        try:
            return route(raw)
        except Fault as fault:
            return Whole(fault.status, {"error": fault.text})

    # --- lists

    def _ps(self) -> dict[str, Any]:
        now = self.now()
        with self._lock:
            entries = [entry for entry in self._loaded.values() if entry[1] > now]
        return {
            "models": [models.ps_entry(model, rfc3339(until), window) for model, until, window in entries]
        }

    def _show(self, raw: bytes) -> Answer:
        body = bodies.read(raw, "ShowRequest", bodies.SHOW)
        name = body.get("model") or body.get("name") or ""
        return Whole(200, models.show(_known(name, Fault(400, "model is required"))))

    # --- generation

    def _chat(self, raw: bytes) -> Answer:
        body = bodies.read(raw, "ChatRequest", bodies.CHAT)
        model, think = _checked(body, Fault(400, "model is required"), "chat")
        if body.get("tools") and not model.can("tools"):
            raise faults.lacks(model.full_name, "tools")
        messages = [
            {**message, "role": message.get("role", "").lower()} for message in body.get("messages", ())
        ]
        return self._answer(Request(model, "chat", body, messages, think), empty=not messages)

    def _generate(self, raw: bytes) -> Answer:
        body = bodies.read(raw, "GenerateRequest", bodies.GENERATE)
        model, think = _checked(body, faults.model_not_found(body.get("model", "")), "generate")
        if body.get("raw") and any(body.get(name) for name in ("template", "system", "context")):
            raise Fault(400, "raw mode does not support template, system, or context")
        if body.get("suffix") and not body.get("raw") and not model.can("insert"):
            raise faults.lacks(model.full_name, "insert")
        messages = [{"role": "system", "content": body["system"]}] if body.get("system") else []
        messages.append({"role": "user", "content": body.get("prompt", ""), "images": body.get("images", [])})
        request = Request(model, "generate", body, messages, think, bare_prompt(body))
        return self._answer(request, empty=not body.get("prompt"))

    def _answer(self, request: Request, *, empty: bool) -> Answer:
        body = request.body
        stream = body.get("stream", True)
        window = window_of(request.model, body)
        loaded_ns = self._load(request.model, body, window)
        if empty:
            return self._silent(request, {"done_reason": "unload" if body.get("keep_alive") == 0 else "load"})
        if body.get("_debug_render_only"):
            return self._silent(request, {"_debug_info": {"rendered_template": request.rendered}})
        try:
            return Spoken(speak(request, window, loaded_ns), stream)
        except Fault as fault:
            return Whole(fault.status, {"error": fault.text}, as_stream=fault.late and stream)

    def _silent(self, request: Request, end: dict[str, Any]) -> Whole:
        """Return an answer without any generation: the model came or went, or the prompt is shown."""
        done = "done_reason" in end
        message = {"message": {"role": "assistant" if done else "", "content": ""}}
        said = message if request.shape == "chat" else {"response": ""}
        head = {"model": request.body["model"], "created_at": rfc3339(self.now())}
        return Whole(200, {**head, **said, "done": done, **end})

    # --- embeddings

    def _embed(self, raw: bytes) -> Answer:
        body = bodies.read(raw, "EmbedRequest", bodies.EMBED)
        texts = embed.inputs(body.get("input"))
        name = body.get("model", "")
        if name and models.find(name) is None:
            raise faults.pull_first(name)
        model = _known(name, faults.model_not_found(name))
        options.check(body.get("options", {}))
        window = window_of(model, body)
        loaded_ns = self._load(model, body, window)
        if not texts:
            return Whole(200, {"model": name, "embeddings": []})
        if not model.can("embedding"):
            raise faults.no_embeddings()
        return Whole(200, embed.answer(name, texts, body, window, loaded_ns))

    # --- what is loaded

    def _load(self, model: Model, body: Mapping[str, Any], window: int) -> int:
        """Note the model as loaded for its `keep_alive`; return how long that took, in nanoseconds."""
        seconds = body.get("keep_alive", KEEP_ALIVE)
        now = self.now()
        with self._lock:
            before = self._loaded.pop(model.name, None)
            if seconds:
                until = now + (seconds if 0 < seconds < _FOREVER else _FOREVER)
                self._loaded[model.name] = (model, until, window)
        return _LOADED_NS if before and before[1] > now and before[2] == window else _LOAD_NS


def _checked(body: Mapping[str, Any], unnamed: Fault, what: str) -> tuple[Model, bool | str]:
    """Return the model and whether it thinks, after the checks that need no model runner."""
    if not 0 <= body.get("top_logprobs", 0) <= 20:
        raise Fault(400, "top_logprobs must be between 0 and 20")
    model = _known(body.get("model", ""), unnamed)
    think = body.get("think", model.can("thinking") and not body.get("raw"))
    if think and not model.can("thinking"):
        raise faults.cannot(body["model"], "thinking")
    if not model.can("completion"):
        raise faults.cannot(body["model"], what)
    options.check(body.get("options", {}))
    return model, think


def _known(name: str, unnamed: Fault) -> Model:
    if not name:
        raise unnamed
    model = models.find(name)
    if model is None:
        raise faults.model_not_found(name)
    return model
