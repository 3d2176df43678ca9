"""Other people's servers as processes of their own, from our samples, and a caller who sees when bytes come."""

from __future__ import annotations

import contextlib
import grp
import http.client
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import pytest

from tests.clean import REPOSITORY, environment
from tests.e2e.wire import last, line
from tests.ollama import FakeOllama, stream

SAMPLES = REPOSITORY / "deploy"
PATIENCE = 20.0
"""How long a program may take to start or to end, and an answer to come, in seconds."""

Moment = Literal["silence", "between events", "whole"]
"""When a caller leaves: a stream before its first event, a stream after it, a whole answer."""


def binary(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def sample(name: str, changes: Mapping[str, str]) -> str:
    """Return a sample of `deploy/`, changed; what is to be changed has to be there."""
    text = (SAMPLES / name).read_text("utf-8")
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """Make a directory in which servers started by root can work after they became somebody else."""
    with tempfile.TemporaryDirectory(prefix="o2o-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def somebody() -> tuple[str, str]:
    """Return the user and the group that servers started by root become."""
    account = next(entry for entry in pwd.getpwall() if entry.pw_name in ("www-data", "nobody"))
    return account.pw_name, grp.getgrgid(account.pw_gid).gr_name


def skip_unless_readable(*paths: Path) -> None:
    """Skip the test where the user that a server becomes cannot read what it shall serve."""
    for path in paths:
        for part in (path, *path.parents):
            if os.geteuid() == 0 and part.stat().st_mode & 0o005 != 0o005:
                pytest.skip(f"{part} is not for everybody to read")


class Program:
    """A server that is ready when it accepts connections at `address`; all it writes is in `log`.

    An address is a port of this machine, or the path of a socket.
    """

    def __init__(
        self,
        command: list[str],
        address: int | Path,
        directory: Path,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._address = address
        self._log = directory / f"{Path(command[0]).name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment(**(environ or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """Everything that was written so far."""
        return self._log.read_text("utf-8", "replace")

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert isinstance(self._address, int)
        return self._address

    def __enter__(self) -> Program:
        until = time.monotonic() + PATIENCE
        while not self._accepts():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise AssertionError(f"{self.process.args!r} did not start:\n{self.log}")
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accepts(self) -> bool:
        local = isinstance(self._address, Path)
        with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as probe:
            probe.settimeout(1)
            return probe.connect_ex(str(self._address) if local else ("127.0.0.1", self._address)) == 0

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Answer(NamedTuple):
    """One whole answer; the names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def error(self) -> Mapping[str, Any]:
        """What OpenAI's envelope holds."""
        assert self.headers["content-type"] == "application/json", self
        error: dict[str, Any] = json.loads(self.raw)["error"]
        assert error.keys() == {"message", "type", "param", "code"}, error
        return error


def question(text: str = "say: hi", **fields: Any) -> dict[str, Any]:
    """Return a body for the chat endpoint."""
    return {"model": "practice", "messages": [{"role": "user", "content": text}], **fields}


class Caller:
    """One connection; close it to leave."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._response: http.client.HTTPResponse | None = None

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, body: Any, *, chunked: bool = False) -> Caller:
        """Ask the chat endpoint; a chunked body announces no length."""
        raw = json.dumps(body).encode()
        with contextlib.suppress(BrokenPipeError):  # the answer may come before the body is sent
            self._connection.request(
                "POST",
                "/v1/chat/completions",
                iter([raw]) if chunked else raw,
                self._headers,
                encode_chunked=chunked,
            )
        return self

    def head(self) -> http.client.HTTPResponse:
        """Wait for the head of the answer."""
        self._response = self._connection.getresponse()
        return self._response

    def event(self) -> str:
        """Return the next event or comment of a stream, as soon as it is there; nothing at the end."""
        assert self._response is not None
        lines = []
        while (line := self._response.readline()) not in (b"", b"\n"):
            lines.append(line.decode())
        return "".join(lines).rstrip("\n")

    def events(self) -> list[str]:
        """Return the rest of a stream."""
        return list(iter(self.event, ""))

    def answer(self) -> Answer:
        """Read a whole answer."""
        response = self.head()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def close(self) -> None:
        """Leave."""
        if self._response is not None:
            self._response.close()
        self._connection.close()


def ask(port: int, body: Any, headers: Mapping[str, str] | None = None, *, chunked: bool = False) -> Answer:
    """Ask the chat endpoint on a connection of its own, and read the whole answer."""
    with Caller(port, headers) as caller:
        return caller.send(body, chunked=chunked).answer()


def streams_at_once(port: int, ollama: FakeOllama, headers: Mapping[str, str] | None = None) -> bool:
    """Tell whether an event arrives before the next one is made, and the stream ends well."""
    rest = threading.Event()
    ollama.script("/api/chat", stream(line("first"), rest, line("second"), last()))
    with Caller(port, headers) as caller:
        caller.send(question(stream=True)).head()
        event = ""
        while "first" not in event:
            event = caller.event()
            assert event, "the stream ended before its first event"
        rest.set()
        events = caller.events()
    return "second" in "".join(events) and events[-1] == "data: [DONE]"


def departures(
    port: int,
    ollama: FakeOllama,
    *moments: Moment,
    headers: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> list[float]:
    """Let a caller leave at each of these moments, all together; return how long Ollama was kept busy for each."""
    callers, asked = [], []
    for moment in moments:
        before = len(ollama.asked("/api/chat"))
        ollama.script("/api/chat", stream(*([line("a")] if moment == "between events" else []), 30.0))
        caller = Caller(port, headers).send(question(stream=moment != "whole"))
        asked.append(ollama.await_requests(before + 1, "/api/chat")[before])
        if moment == "between events":
            caller.head()
            assert caller.event()
        callers.append(caller)
    left = time.monotonic()
    for caller in callers:
        caller.close()
    ollama.await_that(lambda: all(request.connection.left for request in asked), "their departure", patience)
    return [(request.connection.left or 0.0) - left for request in asked]
