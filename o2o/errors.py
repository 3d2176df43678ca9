"""Everything that can go wrong, and how OpenAI says it.

    O2OError
    ├── CallerError                 the caller can mend it: 4xx, invalid_request_error
    │   ├── BadRequest              400
    │   │   └── ContextLengthExceeded   400 context_length_exceeded
    │   ├── Unauthorized            401
    │   ├── Forbidden               403
    │   ├── NotFound                404
    │   │   ├── ModelNotFound           404 model_not_found, param model
    │   │   └── UnsupportedEndpoint     404 unsupported_endpoint, no retry
    │   ├── MethodNotAllowed        405, with Allow
    │   ├── RequestTimeout          408 request_timeout
    │   ├── RequestTooLarge         413 request_too_large
    │   └── RateLimited             429 rate_limit_exceeded
    ├── ServerError                 Ollama or o2o could not do it: 5xx, server_error
    │   ├── UpstreamUnavailable     503 upstream_unavailable, Retry-After
    │   ├── ServerOverloaded        503 server_overloaded, Retry-After
    │   ├── ShuttingDown            503 server_shutting_down, Retry-After
    │   ├── UpstreamFailed          502 upstream_error
    │   ├── UpstreamAuthError       502 upstream_auth_error, no retry
    │   ├── UpstreamInvalid         502 upstream_invalid_response
    │   ├── UpstreamTruncated       502 upstream_truncated
    │   ├── UpstreamBroken          502 upstream_broken
    │   ├── UpstreamTimeout         504 upstream_timeout, no retry
    │   ├── DeadlineExceeded        504 request_deadline_exceeded, no retry
    │   ├── ModelLoadFailed         500 model_load_failed, no retry
    │   ├── ToolCallParseError      502 tool_call_parse_error
    │   ├── ResponseFormatViolation 502 response_format_violation
    │   └── InternalError           500, our own bug
    ├── CallerGone                  nobody reads the answer any more: 499 in the log
    └── Refused                     what Ollama itself said, before `translate.faults` has read it

The side of the fault is in the type. No I/O, no Flask: `app` turns these into HTTP, `sse` into the last
event of a stream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

MAX_ECHO = 200
"""How many characters of a caller's input an error may repeat."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def clip(text: str, limit: int = MAX_ECHO) -> str:
    """Return `text` without control characters, cut to `limit` characters."""
    text = _UNPRINTABLE.sub("�", text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


class O2OError(Exception):
    """A failure that knows its HTTP status and its OpenAI body."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None
    default_param: ClassVar[str | None] = None
    default_message: ClassVar[str] = "The server had an error while processing your request."
    retry: ClassVar[bool | None] = None
    """What `x-should-retry` says; None leaves it to the caller's own rules."""

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool | None = None,
        status: int | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.code = code if code is not None else self.default_code
        self.param = param if param is not None else self.default_param
        self.http_status = status if status is not None else self.status
        self.headers: dict[str, str] = dict(headers or {})
        should_retry = retry if retry is not None else self.retry
        if should_retry is not None:
            self.headers.setdefault("x-should-retry", "true" if should_retry else "false")
        super().__init__(self.message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.http_status} {self.code} {self.param!r}: {clip(self.message)}>"

    def body(self) -> dict[str, Any]:
        """Return OpenAI's envelope; all four keys are always there."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


# --- the caller can mend it


class CallerError(O2OError):
    """The request cannot be served as it is."""

    status = 400
    type = "invalid_request_error"
    default_message = "The request is invalid."


class BadRequest(CallerError):
    """400: wrong, missing or unsupported input."""


class ContextLengthExceeded(BadRequest):
    """400: the prompt does not fit the model's window."""

    default_code = "context_length_exceeded"


class Unauthorized(CallerError):
    """401: keys are configured and the request has none, or a wrong one."""

    status = 401


class Forbidden(CallerError):
    """403: understood, and not allowed here."""

    status = 403


class NotFound(CallerError):
    """404: no such path or thing."""

    status = 404


class ModelNotFound(NotFound):
    """404: no such model."""

    default_code = "model_not_found"
    default_param = "model"


class UnsupportedEndpoint(NotFound):
    """404: OpenAI has this endpoint, o2o does not; a retry cannot help."""

    default_code = "unsupported_endpoint"
    retry = False


class MethodNotAllowed(CallerError):
    """405: the path exists, the method does not."""

    status = 405
    default_code = "method_not_supported"


class RequestTimeout(CallerError):
    """408: the caller's own body did not arrive in time."""

    status = 408
    default_code = "request_timeout"
    default_message = "The request body did not arrive in time."


class RequestTooLarge(CallerError):
    """413: the body is larger than O2O_MAX_BODY_BYTES."""

    status = 413
    default_code = "request_too_large"


class RateLimited(CallerError):
    """429: told so by the server that runs the model."""

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"
    default_message = "Rate limit reached. Please try again later."


# --- Ollama or o2o could not do it


class ServerError(O2OError):
    """The request was fine; serving it failed."""


def retry_after(seconds: float) -> dict[str, str]:
    """Return the two headers that tell a caller when to come back; whole seconds, and milliseconds."""
    return {"Retry-After": str(max(1, round(seconds))), "retry-after-ms": str(max(1, round(seconds * 1000)))}


class UpstreamUnavailable(ServerError):
    """503: no connection to Ollama."""

    status = 503
    default_code = "upstream_unavailable"
    default_message = "Ollama cannot be reached at the moment. Is it running?"

    def __init__(self, message: str | None = None, *, seconds: float = 1.0) -> None:
        super().__init__(message, headers=retry_after(seconds))


class ServerOverloaded(ServerError):
    """503: too much at once, here or in Ollama's queue; come back later.

    `spread` seconds: callers that are turned away together should come back apart, each at a time of its own from
    `seconds` to `seconds + spread`; chance is `app`'s.
    """

    status = 503
    default_code = "server_overloaded"
    default_message = "The server is busy. Please try again shortly."

    def __init__(self, message: str | None = None, *, seconds: float = 2.0, spread: float = 0.0) -> None:
        super().__init__(message, headers=retry_after(seconds))
        self.seconds = seconds
        self.spread = spread

    def scatter(self, share: float) -> None:
        """Choose the caller's time: `share` of the spread, from 0 to 1."""
        self.headers |= retry_after(self.seconds + share * self.spread)


class ShuttingDown(ServerError):
    """503: this process is being stopped; another will answer."""

    status = 503
    default_code = "server_shutting_down"
    default_message = "The server is shutting down. Please try again."

    def __init__(self, message: str | None = None, *, seconds: float = 1.0) -> None:
        super().__init__(message, headers=retry_after(seconds))


class UpstreamFailed(ServerError):
    """502: Ollama failed for a reason of its own."""

    status = 502
    default_code = "upstream_error"
    default_message = "Ollama failed while serving the request."


class UpstreamAuthError(ServerError):
    """502: Ollama, or what stands before it, refused us; not the caller's key."""

    status = 502
    default_code = "upstream_auth_error"
    default_message = "The Ollama server refused this proxy's request."
    retry = False


class UpstreamInvalid(ServerError):
    """502: the answer is not what Ollama's API says."""

    status = 502
    default_code = "upstream_invalid_response"
    default_message = "The answer from upstream is not one of Ollama's."


class UpstreamTruncated(ServerError):
    """502: the answer ended before Ollama said that it was done."""

    status = 502
    default_code = "upstream_truncated"
    default_message = "Ollama ended the answer before it was complete."


class UpstreamBroken(ServerError):
    """502: the connection to Ollama broke in the middle of an answer."""

    status = 502
    default_code = "upstream_broken"
    default_message = "The connection to Ollama broke in the middle of the answer."


class UpstreamTimeout(ServerError):
    """504: Ollama stayed silent for too long."""

    status = 504
    default_code = "upstream_timeout"
    default_message = "Ollama did not answer in time."
    retry = False


class DeadlineExceeded(ServerError):
    """504: the whole request took longer than O2O_DEADLINE."""

    status = 504
    default_code = "request_deadline_exceeded"
    default_message = "The request took longer than the server allows."
    retry = False


class ModelLoadFailed(ServerError):
    """500: Ollama cannot load the model; a retry would load it in vain again."""

    status = 500
    default_code = "model_load_failed"
    retry = False


class ToolCallParseError(ServerError):
    """502: the model wrote a tool call that cannot be read."""

    status = 502
    default_code = "tool_call_parse_error"
    default_message = "The model produced a tool call that could not be parsed."


class ResponseFormatViolation(ServerError):
    """502: the answer breaks the schema that the caller asked for with strict."""

    status = 502
    default_code = "response_format_violation"
    default_message = "The model's answer does not match the requested response format."


class InternalError(ServerError):
    """500: a bug of ours; the text says nothing about it, the log does."""


# --- neither


class CallerGone(O2OError):
    """The caller hung up: nothing is answered, the log says 499."""

    status = 499
    default_message = "The caller closed the connection."


class Refused(O2OError):
    """What Ollama said instead of an answer: its status and its own text.

    Raised by `upstream`, read by `translate.faults.to_error`, which knows what it means to a caller.
    """

    status = 502
    default_code = "upstream_error"

    def __init__(
        self,
        upstream_status: int,
        text: str,
        *,
        headers: Mapping[str, str] | None = None,
        midway: bool = False,
    ) -> None:
        super().__init__(clip(text, 500))
        self.upstream_status = upstream_status
        self.text = text
        self.upstream_headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.midway = midway
        """True when lines of a good answer came before."""
