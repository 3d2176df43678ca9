"""What goes wrong in Ollama, in Ollama's own words: the status and the text of `{"error": …}`.

A *late* fault is found by the model runner: with streaming on, Ollama has then already chosen to stream, and
the error travels chunked, as `application/json`. What llama-server says arrives as JSON inside the text.
"""

from __future__ import annotations

import json
from typing import Any


class Fault(Exception):
    """An error answer: HTTP status, the text in `error`, and whether the runner found it."""

    def __init__(self, status: int, text: str, *, late: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.late = late


def compact(value: Any) -> str:
    """Return `value` as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def from_runner(code: int, message: str, kind: str = "invalid_request_error", **numbers: int) -> Fault:
    """Return a fault of llama-server, double-encoded as Ollama passes it on."""
    inner = {"error": {"code": code, "message": message, "type": kind, **numbers}}
    return Fault(code, compact(inner), late=True)


def wrong_type(kind: str, field: str, go_type: str) -> Fault:
    """Return Go's complaint about a JSON value of the wrong kind; `field` is `Struct.path.to.field`."""
    return Fault(400, f"json: cannot unmarshal {kind} into Go struct field {field} of type {go_type}")


def model_not_found(name: str) -> Fault:
    """Return what chat, generate and show say about a model that is not there."""
    return Fault(404, f"model '{name}' not found")


def pull_first(name: str) -> Fault:
    """Return what embed says about a model that is not there."""
    return Fault(404, f'model "{name}" not found, try pulling it first')


def lacks(full_name: str, capability: str) -> Fault:
    """Return what is said about a capability (tools, insert) that a model lacks; its name is the full one."""
    return Fault(400, f"{full_name} does not support {capability}")


def cannot(name: str, what: str) -> Fault:
    """Return what is said about chat, generate or thinking on a model that cannot; its name is as requested."""
    return Fault(400, f'"{name}" does not support {what}')


def overflow(tokens: int, window: int) -> Fault:
    """Return what is said about a prompt that does not fit when `truncate` is false."""
    message = (
        f"request ({tokens} tokens) exceeds the available context size ({window} tokens), try increasing it"
    )
    return from_runner(400, message, "exceed_context_size_error", n_prompt_tokens=tokens, n_ctx=window)


def no_room_without_shift() -> Fault:
    """Return what is said about a prompt that cannot be cut because `shift` is false."""
    text = (
        "the prompt is longer than the context length currently available to the model; shorten the prompt,"
        " adjust the context length in settings, or use a model with a longer context length"
    )
    return Fault(400, text, late=True)


def no_images() -> Fault:
    """Return what is said about an image for a model that only reads."""
    return from_runner(400, "Multimodal data provided, but model does not support multimodal requests.")


def no_embeddings() -> Fault:
    """Return what is said about embeddings of a chat model."""
    return Fault(501, "This server does not support embeddings. Start it with `--embeddings`")


def bad_format(value: Any) -> Fault:
    """Return what is said about a `format` that is neither "json" nor a schema object."""
    text = f'invalid format: {json.dumps(compact(value))}; expected "json" or a valid JSON Schema object'
    return Fault(500, text, late=True)


def bad_schema(reason: str) -> Fault:
    """Return what is said about a schema that cannot be turned into a grammar."""
    message = f"Field 'json_schema': \"json_schema\": JSON schema conversion failed:\n{reason}"
    return from_runner(400, message)
