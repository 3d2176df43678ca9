"""Callers that send slowly, and callers that do not read."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from bench.soaks.ground import Figure, Ground, milliseconds
from tests.reliability.caller import PATHS, Caller, ask, get, request
from tests.reliability.crowd import quantile
from tests.reliability.faults import TEXT
from tests.reliability.memory import resident_mb

UNREAD = 100


def senders(ground: Ground) -> list[Figure]:
    """Hold many connections open by sending next to nothing, and ask like everybody else."""
    heads, bodies = ground.times(1000, 50), ground.times(500, 25)
    health: list[float] = []
    chats: list[bool] = []
    with ground.server() as server, _holding(server.port, heads, bodies) as held:
        until = time.monotonic() + ground.seconds(30, 3)
        while time.monotonic() < until:
            answer = get(server.port, "/healthz")
            health.append(answer.seconds if answer.status == 200 else 60.0)
            chats.append(_is_right(server.port))
            time.sleep(0.02)
        most = max(held)
    p99 = quantile(health, 0.99)
    return [
        Figure(
            f"/healthz while {heads:,} slow headers and {bodies:,} slow bodies are held, p99 (target 100 ms)",
            f"{milliseconds(p99)} of {len(health):,}, longest {milliseconds(max(health))}, {most:,} held",
            p99 <= 0.1,
        ),
        Figure("chats that succeed meanwhile", f"{sum(chats):,} of {len(chats):,}", all(chats)),
    ]


def _is_right(port: int) -> bool:
    try:
        return ask(port, "chat", "good").text == TEXT
    except (OSError, KeyError):
        return False


@contextlib.contextmanager
def _holding(port: int, heads: int, bodies: int) -> Iterator[list[int]]:
    """Keep so many connections busy with sending, a byte a second; those that are closed are opened again."""
    begun = request(PATHS["chat"], headers={"Content-Length": "100000"})
    stop, counts = threading.Event(), [0]
    connections: list[tuple[socket.socket, bool]] = []

    def open_one(with_body: bool) -> None:
        with contextlib.suppress(OSError):
            made = socket.create_connection(("127.0.0.1", port), 10)
            made.setblocking(False)
            made.send(begun + b"{" if with_body else begun[:30])
            connections.append((made, with_body))

    def drip() -> None:
        while not stop.wait(1.0):
            for entry in list(connections):
                connection, with_body = entry
                try:
                    gone = _has_ended(connection) or not connection.send(b" " if with_body else b"x")
                except OSError:
                    gone = True
                if gone:
                    connection.close()
                    connections.remove(entry)
                    open_one(with_body)
            counts.append(len(connections))

    for number in range(heads + bodies):
        open_one(number >= heads)
    counts.append(len(connections))
    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()
        for connection, _ in connections:
            connection.close()


def _has_ended(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False


def readers(ground: Ground) -> list[Figure]:
    """Ask for streams of 50 MB and read nothing."""
    number = ground.times(UNREAD, 10)
    timeout = 60.0 if ground.scale >= 1 else 5.0
    with ground.server({"O2O_WRITE_TIMEOUT": str(timeout)}) as server, contextlib.ExitStack() as held:
        for _ in range(20):
            ask(server.port, "chat", "good", stream=True)
        before = most = resident_mb(server)
        models = [f"flood:{n}" for n in range(number)]
        began = time.monotonic()
        for model in models:
            held.enter_context(Caller(server.port, received=4096)).ask("chat", model, stream=True)
        asked = [ground.chaos.await_asked(model)[0] for model in models]
        until = began + timeout + 60
        while time.monotonic() < until and not all(seen.connection.left for seen in asked):
            most = max(most, resident_mb(server))
            time.sleep(0.1)
        cut = [seen.connection.left - seen.at for seen in asked if seen.connection.left]
    grown = most - before
    return [
        Figure(
            f"memory for {number} unread streams of 50 MB (target +64 MB)", f"{grown:+.1f} MB", grown <= 64
        ),
        Figure(
            f"cut at the write time-out of {timeout:.0f} s",
            f"{len(cut)} of {number}, after {min(cut, default=0):.1f} to {max(cut, default=0):.1f} s",
            len(cut) == number and min(cut) >= timeout - 1 and max(cut) <= timeout + 30,
        ),
    ]
