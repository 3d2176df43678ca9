"""The answer to one request: batches of replies, whatever the network does.

Theory of operation: `Replies` reads pieces of a body from its exchange, cuts them into replies, and watches the
silence in between: a beat that is due is an empty batch, too long a silence is `UpstreamTimeout`. It ends at the
first `done:true`, and only there; every other end raises. What came before a failure is always given first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from o2o.errors import Refused, UpstreamInvalid, UpstreamTimeout, UpstreamTruncated
from o2o.upstream.exchange import Exchange
from o2o.upstream.ndjson import Reply, Splitter

_MAX_ERROR = 64 * 1024


class Beat(NamedTuple):
    """When silence is worth a sign of life: seconds until the first one, and from then on."""

    after: float
    interval: float


class Times(NamedTuple):
    """How long Ollama may take, in seconds."""

    connect: float = 5.0
    first_byte: float = 600.0
    stall: float = 300.0


class Replies:
    """The answer to one request: batches of replies until `done`.

    Iterating raises `Refused` with what Ollama said instead, `UpstreamTimeout` after too long a silence,
    `UpstreamTruncated`, `UpstreamBroken` or `UpstreamInvalid`; what came before is given first.
    """

    def __init__(
        self, exchange: Exchange, times: Times, patient: bool, beat: Beat | None, clock: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._times = times
        self._patient = patient
        self._beat = beat
        self._clock = clock
        self._splitter = Splitter()
        self._came = False

    def __iter__(self) -> Iterator[list[Reply]]:
        yield from self._opening()
        while True:
            for data in self._pieces():
                if data is None:
                    yield []
                    continue
                batch = self._splitter.feed(data)
                if batch:
                    break
                self._raise_invalid()
            else:
                batch = self._splitter.close()
                if not batch or not batch[-1].get("done"):
                    raise UpstreamTruncated
            good, error = self._sift(batch)
            self._came = True
            if good:
                yield good
                if good[-1].get("done"):
                    return
            if error is not None:
                raise error
            self._raise_invalid()

    def close(self) -> None:
        """Give the connection back, or end it if the answer was not read to the end."""
        if self._came:
            self._exchange.drain()
        self._exchange.close()

    def _opening(self) -> Iterator[list[Reply]]:
        """Connect and send, with a sign of life if connecting may take longer than the caller should wait."""
        if self._beat is None or self._beat.after > self._times.connect:
            self._exchange.open()
            return
        failure: list[BaseException] = []

        def opening() -> None:
            try:
                self._exchange.open()
            except BaseException as error:  # noqa: BLE001  # it is raised again where the caller waits
                failure.append(error)

        thread = threading.Thread(target=opening, daemon=True)
        thread.start()
        thread.join(self._beat.after)
        while thread.is_alive():
            yield []
            thread.join(self._beat.interval)
        if failure:
            raise failure[0]

    def _pieces(self) -> Iterator[bytes | None]:
        """Yield body bytes, None for each beat that is due; end where the body ends."""
        exchange, clock = self._exchange, self._clock
        now = clock()
        limit = self._times.stall if self._came else self._times.first_byte
        until = None if self._patient else now + limit
        if self._beat is None:
            beat_at = None
        else:
            beat_at = now + (self._beat.interval if self._came else self._beat.after)
        while not exchange.reader.complete:
            ends = [at for at in (until, beat_at) if at is not None]
            data = exchange.read(max(0.0, min(ends) - clock()) if ends else None)
            if data is None:
                now = clock()
                if until is not None and now >= until:
                    raise UpstreamTimeout
                if beat_at is not None and now >= beat_at:
                    beat_at = now + (self._beat.interval if self._beat else 0)
                    yield None
            elif exchange.reader.status:
                if exchange.reader.status != 200:
                    self._read_refusal(data, until)
                self._check_type()
                if data:
                    yield data

    def _check_type(self) -> None:
        if "json" not in self._exchange.reader.headers.get("content-type", "json"):
            raise UpstreamInvalid

    def _read_refusal(self, body: bytes, until: float | None) -> None:
        reader = self._exchange.reader
        while not reader.complete and len(body) < _MAX_ERROR:
            more = self._exchange.read(max(0.0, until - self._clock()) if until is not None else None)
            if more is None:
                raise UpstreamTimeout
            body += more
        raise refusal(reader.status, reader.headers, body)

    def _sift(self, batch: list[Reply]) -> tuple[list[Reply], Refused | None]:
        """Cut a batch at `done` or at an error line."""
        for at, reply in enumerate(batch):
            if "error" in reply:
                text = reply["error"]
                came = self._came or at > 0
                return batch[:at], Refused(500, text if isinstance(text, str) else str(text), midway=came)
            if reply.get("done"):
                return batch[: at + 1], None
        return batch, None

    def _raise_invalid(self) -> None:
        if self._splitter.error is not None:
            raise self._splitter.error


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused | UpstreamInvalid:
    """Return what a response that is no answer means: Ollama's own word, or something that is not Ollama's."""
    if status in (401, 403):
        return Refused(status, _error_text(body) or "", headers=headers)
    text = _error_text(body)
    if text is None or not 400 <= status < 600:
        return UpstreamInvalid()
    return Refused(status, text, headers=headers)


def _error_text(body: bytes) -> str | None:
    try:
        reply = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    text = reply.get("error") if isinstance(reply, dict) else None
    return text if isinstance(text, str) else None


def read_object(exchange: Exchange, seconds: float, clock: Callable[[], float]) -> Reply:
    """Read an answer that is one JSON object."""
    until = clock() + seconds
    pieces: list[bytes] = []
    try:
        exchange.open()
        while not exchange.reader.complete:
            data = exchange.read(max(0.0, until - clock()))
            if data is None:
                raise UpstreamTimeout
            pieces.append(data)
    finally:
        exchange.close()
    body = b"".join(pieces)
    if exchange.reader.status != 200:
        raise refusal(exchange.reader.status, exchange.reader.headers, body[:_MAX_ERROR])
    return object_of(body)


def object_of(body: bytes) -> Reply:
    try:
        reply = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid from None
    if "error" in reply and isinstance(reply["error"], str):
        raise Refused(500, reply["error"])
    return reply
