"""What a caller must see: an answer, a failure with its status, or a stream that begins well and ends in an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import openai

from tests.reliability.caller import Answer, Endpoint
from tests.reliability.faults import TEXT

Heartbeats = Literal["", "first", "later"]
"""Whether comments come: none, from the beginning, or between events only."""

ENVELOPE = ["code", "message", "param", "type"]


@dataclass(frozen=True)
class Ok:
    """An answer that is complete."""

    text: str = TEXT
    finish: str = "stop"
    heartbeats: Heartbeats = ""


@dataclass(frozen=True)
class Failure:
    """An error: HTTP status and envelope; in a stream that has begun the same envelope is its last event."""

    status: int
    code: str | None
    param: str | None = None
    retry: bool | None = None
    """What x-should-retry says; None where it must be absent."""
    wait: tuple[float, float] | None = None
    """Between which seconds Retry-After and retry-after-ms lie; None where they must be absent."""
    says: str = ""
    """What the message has in it."""
    or_code: str | None = None
    """Another code that may stand, where two faults cannot be told apart."""

    @property
    def kind(self) -> str:
        return (
            "server_error"
            if self.status >= 500
            else "requests"
            if self.status == 429
            else "invalid_request_error"
        )

    @property
    def exception(self) -> type[openai.APIStatusError]:
        """What the official client raises for it."""
        known: dict[int, type[openai.APIStatusError]] = {
            400: openai.BadRequestError,
            401: openai.AuthenticationError,
            403: openai.PermissionDeniedError,
            404: openai.NotFoundError,
            429: openai.RateLimitError,
        }
        return (
            openai.InternalServerError
            if self.status >= 500
            else known.get(self.status, openai.APIStatusError)
        )

    @property
    def is_retried(self) -> bool:
        """Whether the official client asks again."""
        return self.retry is not False and (self.status in (408, 409, 429) or self.status >= 500)


@dataclass(frozen=True)
class Broken:
    """A stream that begins with 200 and ends in an event with what failed, and without `[DONE]`."""

    failure: Failure
    text: str = TEXT
    heartbeats: Heartbeats = ""


Outcome = Ok | Failure | Broken


def wrongs_of_error(error: dict[str, Any] | None, failure: Failure) -> list[str]:
    """Return in which ways an envelope is not the failure's."""
    if error is None:
        return ["no error"]
    wrongs = [f"keys {sorted(error)}"] if sorted(error) != ENVELOPE else []
    if error.get("code") not in (failure.code, failure.or_code or failure.code):
        wrongs.append(f"code {error.get('code')!r}, not {failure.code!r}")
    for name, wanted in (("type", failure.kind), ("param", failure.param)):
        if error.get(name) != wanted:
            wrongs.append(f"{name} {error.get(name)!r}, not {wanted!r}")
    message = error.get("message")
    if not isinstance(message, str) or not message or failure.says not in message:
        wrongs.append(f"message {message!r}")
    elif leak := [
        part for part in ("127.0.0.1", "localhost", "http://", "/root", "Traceback") if part in message
    ]:
        wrongs.append(f"the message tells {leak}: {message!r}")
    elif len(message) > 700:
        wrongs.append(f"a message of {len(message)} characters")
    return wrongs


def wrongs_of_headers(answer: Answer, failure: Failure) -> list[str]:
    """Return in which ways the headers of an error are not the failure's."""
    headers = answer.headers
    wrongs = []
    if headers.get("content-type") != "application/json":
        wrongs.append(f"content-type {headers.get('content-type')!r}")
    if not headers.get("x-request-id", "").startswith("req_"):
        wrongs.append("no x-request-id")
    wanted = None if failure.retry is None else str(failure.retry).lower()
    if headers.get("x-should-retry") != wanted:
        wrongs.append(f"x-should-retry {headers.get('x-should-retry')!r}, not {wanted!r}")
    for name, unit in (("retry-after", 1), ("retry-after-ms", 1000)):
        given = headers.get(name)
        if failure.wait is None:
            wrongs += [f"{name} {given!r}"] if given is not None else []
        elif given is None or not given.isdigit():
            wrongs.append(f"{name} {given!r}")
        elif not failure.wait[0] * unit <= int(given) <= failure.wait[1] * unit:
            wrongs.append(f"{name} {given}, not in {failure.wait}")
    return wrongs


def wrongs(answer: Answer, outcome: Outcome) -> list[str]:
    """Return in which ways an answer is not the outcome, nothing when it is."""
    if isinstance(outcome, Failure):
        if answer.status != outcome.status:
            return [f"status {answer.status}, not {outcome.status}: {answer.body[:300]!r}"]
        return wrongs_of_headers(answer, outcome) + wrongs_of_error(answer.error, outcome)
    if answer.status != 200:
        return [f"status {answer.status}: {answer.body[:300]!r}"]
    found = [] if answer.whole else ["the connection ended before the answer did"]
    if "embedding" in str(answer.body[:200]):
        return found
    if outcome.text not in ("*", answer.text):
        found.append(f"text {answer.text[:200]!r}, not {outcome.text[:200]!r}")
    if answer.is_stream:
        found += _wrongs_of_stream(answer, outcome)
    elif isinstance(outcome, Ok) and answer.finishes != [outcome.finish]:
        found.append(f"finish reasons {answer.finishes}")
    return found


def _wrongs_of_stream(answer: Answer, outcome: Ok | Broken) -> list[str]:
    found = []
    beats = "first" if answer.events[0].is_comment else "later" if answer.comments else ""
    if beats != outcome.heartbeats:
        found.append(f"heartbeats {beats!r}, not {outcome.heartbeats!r}")
    if isinstance(outcome, Ok):
        if not answer.done or answer.values.count("[DONE]") != 1:
            found.append(f"no [DONE]: {answer.body[-200:]!r}")
        if answer.finishes != [outcome.finish]:
            found.append(f"finish reasons {answer.finishes}")
        return found
    if "[DONE]" in answer.values:
        found.append("[DONE] after a failure")
    if answer.finishes:
        found.append(f"invented finish reasons {answer.finishes}")
    if sum("error" in value for value in answer.values) != 1:
        found.append("not one error event")
    return found + wrongs_of_error(answer.error, outcome.failure)


@dataclass(frozen=True, eq=False)
class Case:
    """One fault and what comes of it: of whole answers, of streams, and of embeddings where it can happen to them."""

    fault: str
    whole: Ok | Failure
    stream: Outcome
    embeddings: Ok | Failure | None = None
    house: str = "calm"
    more: dict[str, Any] = field(default_factory=dict)
    """Parameters that the request has besides."""

    def outcomes(self) -> list[tuple[Endpoint, bool, Outcome]]:
        """Return every way of asking: the endpoint, whether as a stream, and what must come."""
        asked: list[tuple[Endpoint, bool, Outcome]] = [
            ("chat", False, self.whole),
            ("chat", True, self.stream),
        ]
        if not self.more:
            asked += [("completions", False, self.whole), ("completions", True, self.stream)]
        if self.embeddings is not None:
            asked.append(("embeddings", False, self.embeddings))
        return asked


def early(fault: str, failure: Failure, *, embeddings: bool = True, **how: Any) -> Case:
    """Return a case in which everything fails before the first line, and so with a status."""
    return Case(fault, failure, failure, failure if embeddings else None, **how)


def late(fault: str, failure: Failure, **how: Any) -> Case:
    """Return a case in which three lines come first."""
    return Case(fault, failure, Broken(failure), **how)


def fine(fault: str, text: str = TEXT, **how: Any) -> Case:
    """Return a case in which nothing is lost."""
    return Case(fault, Ok(text), Ok(text), **how)
