"""Callers that go on asking while something happens to the server, and what became of each request."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from tests.reliability.caller import PATHS, Caller, body_for
from tests.reliability.faults import STEADY, TEXT

EXPECTED = {"good": TEXT, "steady": STEADY}


class Crowd:
    """Some callers, each asking every so many seconds until told to stop; in a `with` statement.

    `kept` callers use a connection for as long as the server lets them; when it ends before a byte of the answer
    they ask again on a fresh one, as every HTTP library does, and it is counted in `renewed`.
    """

    def __init__(
        self,
        port: int,
        size: int,
        *,
        every: float = 0.0,
        model: str = "good",
        stream: bool = False,
        kept: bool = False,
    ) -> None:
        self.seconds: list[float] = []
        """How long each good answer took."""
        self.failures: list[str] = []
        self.renewed = 0
        self._port = port
        self._every = every
        self._model = model
        self._stream = stream
        self._kept = kept
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(size)]

    @property
    def good(self) -> int:
        """How many answers were complete."""
        return len(self.seconds)

    def await_good(self, more: int, patience: float = 20.0) -> None:
        """Wait until so many more answers are complete."""
        wanted, until = self.good + more, time.monotonic() + patience
        while self.good < wanted:
            if time.monotonic() > until:
                raise AssertionError(f"{self.good} answers, not {wanted}; {self.failures}")
            time.sleep(0.01)

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        caller: Caller | None = None
        due = time.monotonic()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                caller = self._ask(caller)
                self.seconds.append(time.monotonic() - began)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                self.failures.append(f"{type(error).__name__}: {error}")
                caller = None
            due += self._every
            self._stop.wait(max(0.0, due - time.monotonic()))
        if caller is not None:
            caller.close()

    def _ask(self, caller: Caller | None) -> Caller | None:
        if caller is not None:
            try:
                return self._answered(caller)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                caller.close()
                self.renewed += 1
        return self._answered(Caller(self._port))

    def _answered(self, caller: Caller) -> Caller | None:
        headers = {} if self._kept else {"Connection": "close"}
        try:
            answer = caller.post(
                PATHS["chat"], body_for("chat", self._model, stream=self._stream), headers
            ).answer()
            if answer.status != 200 or not answer.whole or answer.text != EXPECTED[self._model]:
                raise AssertionError(f"{answer.status}, {answer.body[-200:]!r}")
            if self._stream and not answer.done:
                raise AssertionError(f"no [DONE]: {answer.body[-200:]!r}")
        except BaseException:
            caller.close()
            raise
        if self._kept and answer.headers.get("connection") != "close":
            return caller
        caller.close()
        return None


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all values do not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
