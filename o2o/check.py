"""`o2o check`: is everything in order, and if not, what to do about it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from o2o.app import make_upstream
from o2o.catalogue import parse_version
from o2o.config import ConfigError, Settings
from o2o.errors import DeadlineExceeded, O2OError
from o2o.start import load_env_file, read_settings
from o2o.survey import SUGGESTED, SUGGESTED_EMBEDDING, Known, Survey, survey
from o2o.translate.splicing import rows, width
from o2o.upstream.client import Upstream
from o2o.upstream.line import Line

OLDEST = (0, 12, 6)
"""The first Ollama with `truncate` and `shift`, without which prompts are cut in silence."""
ROOMY = 16384
"""Tokens: below, coding agents lose the beginning of what they were told."""
PATIENCE = 180.0
"""Seconds for one trial, in which a model may have to be loaded."""

Level = Literal["ok", "note", "problem"]


class Finding(NamedTuple):
    """One thing that was looked at; `remedy` is empty where nothing is to be done."""

    topic: str
    level: Level
    text: str
    remedy: str = ""


class Report(NamedTuple):
    """All findings, in the order in which they were made."""

    findings: tuple[Finding, ...]
    models: tuple[Known, ...] = ()

    @property
    def well(self) -> bool:
        """Whether there is no problem; notes are no problems."""
        return all(finding.level != "problem" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        return {
            "ok": self.well,
            "findings": [finding._asdict() for finding in self.findings],
            "models": [
                {
                    "name": model.name,
                    "capabilities": None if model.capabilities is None else sorted(model.capabilities),
                    "context_length": model.context_length,
                    "window": model.window,
                }
                for model in self.models
            ],
        }

    def as_text(self) -> str:
        """Return the report for a terminal."""
        marks = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}
        lines = []
        for finding in self.findings:
            lines.append(f"{marks[finding.level]} {finding.topic}: {finding.text}")
            if finding.remedy:
                lines.append(f"          -> {finding.remedy}")
            if finding.topic == "models":
                lines += [f"            {_describe(model)}" for model in self.models]
        lines.append("All is well." if self.well else "Not all is well: see what is marked PROBLEM.")
        return "\n".join(lines)


def check(directory: Path) -> Report:
    """Look at the settings of this process with `.env` in `directory`, and at the Ollama they name."""
    load_env_file(directory)
    try:
        settings = read_settings(os.environ)
    except ConfigError as error:
        return Report(tuple(Finding("settings", "problem", problem) for problem in error.problems))
    # Who waits in front of a terminal has less patience than a caller in a queue.
    hasty = replace(settings, first_byte_timeout=min(settings.first_byte_timeout, PATIENCE))
    return examine(settings, make_upstream(hasty))


def examine(settings: Settings, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> Report:
    """Return what is found about `settings` and `upstream`; a chat and an embedding are really tried."""
    findings = [_settings(settings)]
    found = survey(upstream, patience=10.0)
    findings += _ollama(settings, found)
    if found.error is not None or not found.models:
        return Report(tuple(findings), found.models)
    findings += _try_chat(settings, upstream, found, clock)
    findings += _try_embedding(upstream, found, clock)
    # Asked again: the trial has loaded the model, and only now its window is known.
    after = survey(upstream, patience=10.0)
    findings += _window(after if after.error is None else found)
    return Report(tuple(findings), found.models)


def _settings(settings: Settings) -> Finding:
    if settings.api_keys:
        return Finding("settings", "ok", f"fine; {len(settings.api_keys)} keys")
    return Finding(
        "settings",
        "note",
        "fine; no keys, everybody who can reach this server may use it",
        "set O2O_API_KEYS to ask callers for a key",
    )


def _ollama(settings: Settings, found: Survey) -> Iterator[Finding]:
    where = settings.ollama_api_base_url
    if found.error is not None:
        yield Finding(
            "ollama",
            "problem",
            f"nothing useful answers at {where}: {found.error}",
            "start it with `ollama serve`, or set OLLAMA_API_BASE_URL to where it is",
        )
        return
    version = parse_version(found.version)
    if version and version < OLDEST and version != (0, 0, 0):
        oldest = ".".join(map(str, OLDEST))
        yield Finding(
            "ollama",
            "problem",
            f"version {found.version} at {where} is older than {oldest}: prompts that do not fit are cut in silence",
            "update Ollama: https://ollama.com/download",
        )
    else:
        yield Finding("ollama", "ok", f"version {found.version or 'unknown'} at {where}")
    if found.models:
        yield Finding("models", "ok", f"{len(found.models)} found")
    else:
        yield Finding("models", "problem", "Ollama has none", f"ollama pull {SUGGESTED}")


def _try_chat(
    settings: Settings, upstream: Upstream, found: Survey, clock: Callable[[], float]
) -> Iterator[Finding]:
    model = found.chat_model()
    if model is None:
        yield Finding("chat", "problem", "no model can chat", f"ollama pull {SUGGESTED}")
        return
    begin = clock()
    try:
        lines, words = _chat(settings, upstream, model, clock, begin + PATIENCE)
    except O2OError as error:
        yield Finding(
            "chat", "problem", f"{model.name} does not answer: {error}", f"try: ollama run {model.name}"
        )
        return
    took = f"{clock() - begin:.1f} s"
    if not words:
        yield Finding("chat", "note", f"{model.name} answered after {took}, without a word")
    elif lines < 2:
        yield Finding("chat", "problem", f"{model.name} answered after {took}, but did not stream")
    else:
        yield Finding("chat", "ok", f"{model.name} answered and streamed within {took}")


def _chat(
    settings: Settings, upstream: Upstream, model: Known, clock: Callable[[], float], deadline: float
) -> tuple[int, int]:
    """Return how many lines came, and how many of them said something."""
    options: dict[str, Any] = {"num_predict": 24}
    if settings.num_ctx is not None:
        options["num_ctx"] = settings.num_ctx
    payload: dict[str, Any] = {
        "model": model.name,
        "messages": [{"role": "user", "content": "Count from one to five."}],
        "stream": True,
        "options": options,
    }
    if model.capabilities is not None and "thinking" in model.capabilities:
        payload["think"] = False
    line = Line(deadline)
    replies = upstream.ask("chat", payload, line)
    lines = words = 0
    try:
        for batch in replies:
            lines += len(batch)
            words += sum(_speaks(reply) for reply in batch)
            if clock() > deadline:
                raise DeadlineExceeded
    finally:
        replies.close()
        line.close()
    return lines, words


def _speaks(reply: Mapping[str, Any]) -> bool:
    message = reply.get("message") or {}
    return bool(message.get("content") or message.get("thinking"))


def _try_embedding(upstream: Upstream, found: Survey, clock: Callable[[], float]) -> Iterator[Finding]:
    model = found.embedding_model()
    if model is None:
        yield Finding(
            "embeddings",
            "note",
            "no embedding model",
            f"for /v1/embeddings: ollama pull {SUGGESTED_EMBEDDING}",
        )
        return
    line = Line(clock() + PATIENCE)
    try:
        reply = upstream.embed({"model": model.name, "input": "hello"}, line)
    except O2OError as error:
        yield Finding("embeddings", "problem", f"{model.name} does not embed: {error}")
        return
    finally:
        line.close()
    vectors = rows(reply)
    if vectors is not None:
        yield Finding("embeddings", "ok", f"{model.name} makes {width(vectors)} numbers of a text")
    else:
        yield Finding("embeddings", "problem", f"{model.name} answered without an embedding")


def _window(found: Survey) -> Iterator[Finding]:
    model = found.chat_model()
    if model is None or model.window is None:
        return
    if model.window >= ROOMY:
        yield Finding("context", "ok", f"{model.name} is loaded with {model.window} tokens")
        return
    if model.context_length is not None and model.context_length < ROOMY:
        yield Finding(
            "context",
            "note",
            f"{model.name} can hold {model.context_length} tokens at most; coding agents need {ROOMY}",
            "use another model for coding agents",
        )
        return
    yield Finding(
        "context",
        "note",
        f"{model.name} is loaded with {model.window} tokens; coding agents need {ROOMY} or more",
        f"start Ollama with OLLAMA_CONTEXT_LENGTH={2 * ROOMY}, or o2o with O2O_NUM_CTX={2 * ROOMY}",
    )


def _describe(model: Known) -> str:
    can = "?" if model.capabilities is None else " ".join(sorted(model.capabilities)) or "nothing"
    longest = "?" if model.context_length is None else str(model.context_length)
    loaded = "" if model.window is None else f", loaded with {model.window}"
    return f"{model.name}: {can}; up to {longest} tokens{loaded}"
