"""The answer to one request: batches of replies, whatever the network does.

Theory of operation: `Replies` reads pieces of a body from its exchange, cuts them into replies, and watches the
silence in between: a beat that is due is an empty batch, too long a silence is `UpstreamTimeout`. It ends at the
first `done:true`, and only there; every other end raises. What came before a failure is always given first.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from o2o.errors import Refused, UpstreamInvalid, UpstreamTimeout, UpstreamTruncated
from o2o.pages import Bytes, Growing
from o2o.upstream.exchange import WHOLE_READ_SIZE, Exchange
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
        self._done = False
        self._good = False

    def __iter__(self) -> Iterator[list[Reply]]:
        yield from self._opening()
        exchange, clock, feed = self._exchange, self._clock, self._splitter.feed
        reader = exchange.reader
        after, interval = self._beat or (math.inf, math.inf)
        first_byte, stall = (math.inf, math.inf) if self._patient else self._times[1:]
        now = clock()
        patience_ends, beat_at = now + first_byte, now + after
        while not reader.complete:
            data = exchange.read(min(patience_ends, beat_at))
            if data is None:
                now = clock()
                if now >= patience_ends:
                    raise UpstreamTimeout
                if now >= beat_at:
                    beat_at = now + interval
                    yield []
                continue
            if not self._good and not self._has_head(data, patience_ends):
                continue
            batch = feed(data)
            if batch:
                now = clock()
                patience_ends, beat_at = now + stall, now + interval
                if _is_last(batch):
                    yield from self._end(batch)
                    return
                self._came = True
                yield batch
            self._raise_invalid()
        yield from self._end(self._rest())

    def _rest(self) -> list[Reply]:
        """Return what a last line without an end gives; raises where the answer is not complete by it."""
        if self._exchange.reader.error is not None:
            raise self._exchange.reader.error
        rest = self._splitter.close()
        if not _is_last(rest):
            raise UpstreamTruncated
        return rest

    def _end(self, batch: list[Reply]) -> Iterator[list[Reply]]:
        """Give what stands before and at `done`, or before an error line, which is raised."""
        for at, reply in enumerate(batch):
            if "error" in reply:
                if at:
                    self._came = True
                    yield batch[:at]
                text = reply["error"]
                raise Refused(500, text if isinstance(text, str) else str(text), midway=self._came)
            if reply.get("done"):
                self._came = self._done = True
                yield batch[: at + 1]
                return

    def close(self) -> None:
        """Give the connection back, or end it if the answer was not read to the end."""
        # Reading on in an answer that nobody wants could leave Ollama waiting for room to write into.
        if self._done:
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

    def _has_head(self, body: bytes, until: float) -> bool:
        """Tell whether the head is there, and never look again; raise what it says if it is not an answer's."""
        reader = self._exchange.reader
        if not reader.status:
            return False
        if reader.status != 200:
            self._read_refusal(body, until)
        if "json" not in reader.headers.get("content-type", "json"):
            raise UpstreamInvalid
        self._good = True
        return True

    def _read_refusal(self, body: bytes, until: float) -> None:
        reader = self._exchange.reader
        while not reader.complete and len(body) < _MAX_ERROR:
            more = self._exchange.read(until)
            if more is None:
                raise UpstreamTimeout
            body += more
        raise refusal(reader.status, reader.headers, body)

    def _raise_invalid(self) -> None:
        if self._splitter.error is not None:
            raise self._splitter.error


def _is_last(batch: list[Reply]) -> bool:
    for reply in batch:  # noqa: SIM110  # a generator costs as much as all of this, for every token
        if "error" in reply or reply.get("done"):
            return True
    return False


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


def read_whole(exchange: Exchange, seconds: float, clock: Callable[[], float]) -> Bytes:
    """Return the whole body of an answer; raises what its status says if that is not 200."""
    until = clock() + seconds
    body = Growing()
    try:
        exchange.open()
        while not exchange.reader.complete:
            data = exchange.read(until, WHOLE_READ_SIZE)
            if data is None:
                raise UpstreamTimeout
            body.add(data)
        if exchange.reader.error is not None:
            raise exchange.reader.error
    finally:
        exchange.close()
    reader = exchange.reader
    if reader.status != 200:
        raise refusal(reader.status, reader.headers, bytes(body.whole()[:_MAX_ERROR]))
    if "json" not in reader.headers.get("content-type", "json"):
        raise UpstreamInvalid
    return body.whole()


def object_of(body: bytes) -> Reply:
    try:
        reply = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid from None
    if "error" in reply and isinstance(reply["error"], str):
        raise Refused(500, reply["error"])
    return reply
