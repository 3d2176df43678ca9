"""One HTTP/1.1 response, from bytes however they are cut; pure.

Theory of operation: `ResponseReader.feed` takes what a socket gave and returns the body bytes in it. Until the
head is whole, `status` is 0. The body ends by the last chunk, by Content-Length, or by the end of the
connection, and `complete` says so. What does not follow RFC 9112 raises `UpstreamInvalid`, or is kept in `error`
where good body bytes came before it: those are given first. An end that came too early is for the owner of the
socket to see: `eof()` says whether this was a good place to stop.

`http.client` cannot be used here: it reads by blocking, and waiting for Ollama has to stay interruptible. A law
in the property tests holds this reader against it.
"""

from __future__ import annotations

from o2o.errors import UpstreamInvalid

MAX_HEAD = 64 * 1024
_BODYLESS = (204, 304)
_END = b"0\r\n\r\n"
_END_PARTS = [b"0", b"", b""]


class ResponseReader:
    """Read one response; feed it bytes, take body bytes."""

    __slots__ = (
        "_buffer",
        "_feed",
        "_left",
        "_until_close",
        "complete",
        "error",
        "headers",
        "keep_alive",
        "short_way",
        "status",
    )

    def __init__(self, *, short_way: bool = True) -> None:
        self.short_way = short_way
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.keep_alive = True
        self.error: UpstreamInvalid | None = None
        self._buffer = b""
        self._left = 0
        self._until_close = False
        self._feed = self._head

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes that `data` brought; bytes after the end are dropped."""
        return self._feed(data)

    def eof(self) -> bool:
        """Say that the connection ended; return whether the response is complete by that."""
        if self._until_close:
            self.complete = True
        self.keep_alive = False
        return self.complete

    def _head(self, data: bytes) -> bytes:
        buffer = self._buffer + data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > MAX_HEAD or not b"HTTP/1.".startswith(buffer[:7]):
                raise UpstreamInvalid
            self._buffer = buffer
            return b""
        self._parse_head(buffer[:end])
        rest = buffer[end + 4 :]
        self._buffer = b""
        if 100 <= self.status < 200:  # an interim answer; the real one follows
            self.status = 0
            self.headers = {}
            return self._head(rest)
        self._choose_framing()
        return self._feed(rest) if rest and not self.complete else b""

    def _parse_head(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
            raise UpstreamInvalid
        self.status = int(rest[:3])
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise UpstreamInvalid
            self.headers[name.lower()] = value.strip()
        connection = self.headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)

    def _choose_framing(self) -> None:
        length = self.headers.get("content-length")
        if self.status in _BODYLESS:
            self._finish()
        elif "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._left = -1
            self._feed = self._chunked
        elif length is not None:
            if not length.isdigit():
                raise UpstreamInvalid
            self._left = int(length)
            self._feed = self._counted
            if self._left == 0:
                self._finish()
        else:
            self._until_close = True
            self.keep_alive = False
            self._feed = self._open_ended

    def _finish(self) -> None:
        self.complete = True
        self._buffer = b""
        self._feed = self._ignore

    @staticmethod
    def _ignore(data: bytes) -> bytes:
        return b""

    @staticmethod
    def _open_ended(data: bytes) -> bytes:
        return data

    def _counted(self, data: bytes) -> bytes:
        taken = data[: self._left]
        self._left -= len(taken)
        if self._left == 0:
            self._finish()
        return taken

    def _chunked(self, data: bytes) -> bytes:
        out: list[bytes] = []
        try:
            missing = self._left
            if 0 < missing < len(data) and not self._buffer:
                self._take_chunks(data[:missing], out)
                data = data[missing:]
            if self.short_way and self._left < 0 and not self._buffer:
                data = _take_whole_chunks(data, out)
                if data == _END:
                    self._finish()
                    data = b""
            if data:
                self._take_chunks(data, out)
        except UpstreamInvalid as error:
            if not out:
                raise
            self.error = error
        return out[0] if len(out) == 1 else b"".join(out)

    def _take_chunks(self, data: bytes, out: list[bytes]) -> None:
        """Take chunk framing away. `_left` is what is missing of a chunk and its CRLF; -1 before a size line."""
        buffer = self._buffer + data if self._buffer else data
        at, size = 0, len(buffer)
        while True:
            if self._left < 0:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    if size - at > 1024:
                        raise UpstreamInvalid
                    break
                length = _chunk_size(buffer[at:end])
                if length == 0:
                    self._buffer = buffer[end + 2 :]
                    self._feed = self._trailers
                    self._trailers(b"")
                    return
                at = end + 2
                self._left = length + 2
            if size - at < self._left:
                if self._left > 2:  # give what is there of the data, keep back what may be its CRLF
                    taken = buffer[at : at + self._left - 2]
                    out.append(taken)
                    at += len(taken)
                    self._left -= len(taken)
                break
            end = at + self._left
            out.append(buffer[at : end - 2])
            if buffer[end - 2 : end] != b"\r\n":
                raise UpstreamInvalid
            at = end
            self._left = -1
        self._buffer = buffer[at:]

    def _trailers(self, data: bytes) -> bytes:
        buffer = self._buffer + data
        while True:
            line, end, rest = buffer.partition(b"\r\n")
            if not end:
                if len(buffer) > MAX_HEAD:
                    raise UpstreamInvalid
                self._buffer = buffer
                return b""
            if not line:
                self._finish()
                return b""
            buffer = rest


def _take_whole_chunks(data: bytes, out: list[bytes]) -> bytes:
    """Add to `out` what the whole chunks at the start of `data` hold; return the rest, for the careful way.

    This reads chunks as Go and most others write them, which is what Ollama's bytes nearly always are: one line a
    chunk, one or several chunks a read. Where anything is otherwise nothing is taken; a law holds both ways to
    the same bytes.
    """
    parts = data.split(b"\r\n")
    if parts[-3:] == _END_PARTS:  # the end of the body, unless that is what a chunk holds
        parts[-3:] = [b""]
        end = _END
    else:
        end = b""
    whole = (len(parts) - 1) & ~1
    bodies = parts[1:whole:2]
    if b"" in bodies or [b"%x" % len(body) for body in bodies] != parts[:whole:2]:
        return data
    out += bodies
    return b"\r\n".join(parts[whole:]) + end


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        if not digits or digits[:1] in b"+-" or b"_" in digits or len(digits) > 16:
            raise ValueError
        return int(digits, 16)
    except ValueError:
        raise UpstreamInvalid from None
