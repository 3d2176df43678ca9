"""The servers that the tests share: each has settings of its own and is started when it is first needed."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path
from types import TracebackType

from tests.reliability.chaos import Chaos
from tests.server import Server

HASTY = {
    "O2O_CONNECT_TIMEOUT": "0.8",
    "O2O_FIRST_BYTE_TIMEOUT": "2",
    "O2O_STALL_TIMEOUT": "1.2",
    "O2O_DEADLINE": "4",
    "O2O_HEARTBEAT_AFTER": "0.4",
    "O2O_HEARTBEAT_INTERVAL": "0.4",
}
"""Seconds that a test can wait for, far enough from each other to be told apart on a busy machine."""

STRICT_WITH_CALLERS = {
    "O2O_HEADER_TIMEOUT": "1",
    "O2O_BODY_TIMEOUT": "1",
    "O2O_WRITE_TIMEOUT": "1",
    "O2O_MAX_BODY_BYTES": "100000",
    "O2O_LOCK_RUNNER_OPTIONS": "true",
}


KEY = "sk-c4n4ry-0123456789abcdef"
"""The key of the server that has one."""

GUARDED = {
    "O2O_API_KEYS": KEY,
    "O2O_ALLOW_CLOUD": "false",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


class Houses:
    """Servers by name, all but a few before the same Ollama; close it, whatever happens."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.chaos = self._stack.enter_context(Chaos())
        self._running: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        """Return the server of this name, started if need be."""
        if name not in self._running:
            self._running[name] = self._stack.enter_context(self._make(name))
        return self._running[name]

    def port(self, name: str) -> int:
        """Return the port of the server of this name."""
        return self[name].port

    def _make(self, name: str) -> Server:
        if name == "calm":
            return Server(self.chaos.url)
        if name == "hasty":
            return Server(self.chaos.url, HASTY)
        if name == "strict":
            return Server(self.chaos.url, STRICT_WITH_CALLERS)
        if name == "full":
            return Server(self.chaos.url, {"O2O_MAX_IN_FLIGHT": "1"})
        if name == "fetching":
            return Server(self.chaos.url, {"O2O_FETCH_IMAGES": "true"})
        if name == "keyed":
            return Server(self.chaos.url, {**GUARDED, "HOME": self._home()})
        if name == "nobody":
            return Server(self._nobody())
        if name == "no_name":
            return Server("http://no-such-machine.invalid:11434")
        if name == "no_connection":
            return Server(self._full_backlog(), {"O2O_CONNECT_TIMEOUT": "0.5"})
        if name == "late_connection":
            return Server(self._full_backlog(), HASTY)
        assert name == "frozen"
        return Server(self._deaf(), HASTY)

    def _home(self) -> str:
        """Return a home with a password for Ollama's machine in it."""
        home = self._stack.enter_context(tempfile.TemporaryDirectory())
        netrc = Path(home) / ".netrc"
        netrc.write_text("machine 127.0.0.1 login someone password secret\ndefault login a password b\n")
        netrc.chmod(0o600)
        return home

    def _nobody(self) -> str:
        # Bound and not listening: nobody else can take the port meanwhile.
        bound = self._stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        return _url(bound)

    def _deaf(self) -> str:
        """Return the address of something that accepts connections and never answers."""
        return _url(self._stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)))

    def _full_backlog(self) -> str:
        """Return the address of something that no connection can be made to: Linux drops what does not fit."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = self._stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        return _url(listener)

    def close(self) -> None:
        """End all of them, at once."""
        for server in self._running.values():
            server.process.terminate()
        self._stack.close()

    def __enter__(self) -> Houses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
