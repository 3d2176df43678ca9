"""Start and stop the processes of a run: pinned to a CPU, in a group of their own, gone when the run is gone."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

PR_SET_PDEATHSIG = 1
READY_POLL_SECONDS = 0.004
_libc = ctypes.CDLL(None, use_errno=True)


class NotStarted(Exception):
    """A server ended or stayed silent instead of answering; the message has the end of its output."""


def cpus() -> tuple[int, int]:
    """Return the CPU for what is measured and the one for everything else; on one CPU both are the same."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 if len(allowed) > 1 else 0]


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _child_setup(cpu: int) -> Callable[[], None]:
    def setup() -> None:
        os.sched_setaffinity(0, {cpu})
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return setup


class Server:
    """A running server; `stop` it, whatever happens, or use it in a `with` statement."""

    def __init__(
        self,
        command: Sequence[str | Path],
        cpu: int,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
    ) -> None:
        """Start `command` on `cpu`, with its output in `log`."""
        self.log = log
        self.started = time.monotonic()
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_child_setup(cpu),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self, port: int, path: str, seconds: float, key: str = "") -> float:
        """Return the ms from the start to the first 200 on `path`; raise NotStarted after `seconds`."""
        while time.monotonic() - self.started < seconds:
            if self.process.poll() is not None:
                break
            try:
                if status_of(port, path, key) == 200:
                    return (time.monotonic() - self.started) * 1000
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(READY_POLL_SECONDS)
        raise NotStarted(f"no 200 on {path}: {self.tail()}")

    def tail(self) -> str:
        """Return the last words of the server's output."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-6:])[-600:]

    def stop(self) -> None:
        """End the server and everything it started; twice does no harm."""
        for sign, seconds in ((signal.SIGTERM, 4), (signal.SIGKILL, 4)):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            if sign == signal.SIGTERM:
                _kill_rest(self.process.pid)
            break
        self.process.poll()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _kill_rest(group: int) -> None:
    """End what a server left behind in its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def status_of(port: int, path: str, key: str = "") -> int:
    """Return the status of GET `path`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status
    finally:
        connection.close()
