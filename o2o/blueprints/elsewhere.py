"""Paths that are not here: OpenAI's other endpoints, Anthropic's, and plain mistakes."""

from __future__ import annotations

import re

from o2o.errors import NotFound, UnsupportedEndpoint, clip

_FAMILIES = (
    "assistants audio batches chatkit containers conversations evals files fine_tuning images moderations"
    " organization realtime responses skills threads uploads vector_stores videos"
).split()
_STORED = re.compile(r"chat/completions/(?!input_tokens/?$)[^/]+(?:/messages)?/?")
_PREFIX = re.compile(r"^/(?:(?:openai/v1|api/v1|v1/v1|v1|openai/deployments/[^/]+|openai)/)?")


def unsupported(path: str) -> UnsupportedEndpoint | None:
    """Return the error for an endpoint that exists, but not here; None for any other path."""
    below = _PREFIX.sub("", path)
    family = below.split("/")[0]
    if _STORED.fullmatch(below):
        return UnsupportedEndpoint(
            f"This server keeps no completions, so there is nothing at {clip(path)}; 'store' has no effect."
        )
    if family in _FAMILIES:
        return UnsupportedEndpoint(f"This server does not implement {clip(path)}.")
    if family == "messages":
        return UnsupportedEndpoint(
            "/v1/messages is Anthropic's API, which this server does not speak. Ollama has it itself:"
            " point the client at the Ollama server's own /v1/messages."
        )
    return None


def missing(method: str, path: str) -> NotFound:
    """Return the error for a path that leads nowhere."""
    return unsupported(path) or NotFound(f"Invalid URL ({method} {clip(path)})")
