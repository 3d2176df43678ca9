"""A real o2o in a process of its own: gunicorn with the shipped configuration, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
PLAIN = bool(os.environ.get("TEST_PLAIN"))
"""Whether servers take the plain ways; see `tests/plain.py`."""
# With an access log our worker leaves requests to gunicorn's own code.
_APP = ["--access-logfile", os.devnull, "tests.plain:app"] if PLAIN else ["wsgi:app"]
_LISTENING = re.compile(r"Listening at: (http://\S+)")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class Server:
    """Start o2o against an Ollama; everything it logs is in `log`."""

    def __init__(
        self,
        ollama: str,
        settings: Mapping[str, str] | None = None,
        *,
        workers: int = 1,
        command: list[str] | None = None,
    ) -> None:
        self.url = ""
        self._lines: list[str] = []
        self._changed = threading.Condition()
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environ |= {
            "OLLAMA_API_BASE_URL": ollama,
            "O2O_HOST": "127.0.0.1",
            "PORT": "0",
            "WEB_CONCURRENCY": str(workers),
            "PYTHONUNBUFFERED": "1",
            **(settings or {}),
        }
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "gunicorn", *_APP],
            cwd=REPOSITORY,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """Everything that was written so far."""
        return "".join(list(self._lines))

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> Server:
        self.await_log(lambda log: _LISTENING.search(log) and "Booting worker" in log, "listening")
        match = _LISTENING.search(self.log)
        assert match is not None
        self.url = match[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, patience: float = PATIENCE) -> int:
        """End it as an operator would; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join(5)
        return status

    def await_log(self, true: Callable[[str], object], what: str, patience: float = PATIENCE) -> str:
        """Wait until what was logged makes `true` true; return it."""
        until = time.monotonic() + patience
        with self._changed:
            while not true(self.log):
                left = until - time.monotonic()
                ended = self.process.poll() is not None and not self._reader.is_alive()
                if left <= 0 or ended:
                    raise AssertionError(f"o2o did not get to {what}:\n{self.log}")
                self._changed.wait(min(left, 0.2))
        return self.log

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        self.process.stdout.close()
