"""gunicorn's gevent worker, with our own manners: error pages, patience with callers, an end that is told.

gunicorn loads this module in its master, before the sockets of the workers become cooperative: nothing here
may import what binds to `ssl` or `socket`, such as requests; the app's own modules are imported late.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import socket
import ssl
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import gevent
import gevent.select
from gunicorn.glogging import Logger
from gunicorn.http import errors as wrong, wsgi
from gunicorn.workers.ggevent import GeventWorker

from o2o.errors import BadRequest, Forbidden, InternalError, O2OError, ServerError
from o2o.ids import new_id
from o2o.log import REQUESTS, request_line
from o2o.sending import CallerSocket

LINGER = 2.0
"""Seconds for which a caller may go on sending after its answer, before the connection is closed."""

_log = logging.getLogger(REQUESTS)


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves WSGI as gunicorn's gevent worker does, whatever the app; see the module for the differences."""

    alive: bool
    nr: int

    grace: float | None = None
    """Seconds from the order to stop until the process must be gone; None: gunicorn's graceful_timeout."""

    write_timeout: float = 60.0
    """Seconds in which a caller must take at least one byte of its answer."""

    def init_process(self) -> None:
        """Become a worker."""
        self._callers: dict[Any, Any] = {}
        self._idle: dict[Any, _Waiting] = {}
        self._quitting = False
        self._patience = float(self.cfg.keepalive)
        self._plainly = _is_watched(self.cfg, self.log)
        # The Server header says who answers, not what runs here.
        wsgi.SERVER = "o2o"
        super().init_process()

    def run(self) -> None:
        """Serve until the end."""
        if self._patience:
            gevent.spawn(self._end_waits)
        super().run()

    def notify(self) -> None:
        """Tell the master that this worker lives; called every second."""
        super().notify()
        if not self.alive:  # by whatever way: a signal, max_requests, a reload
            from o2o.hangup import watcher

            watcher().drain(self.seconds_to_stop)
            self._let_idle_go()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection to its end."""
        callers = self._callers
        greenlet = gevent.getcurrent()
        callers[greenlet] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del callers[greenlet]

    def timeout_ctx(self) -> _Waiting:
        """Return the bound on waiting for a request and on reading its head."""
        return _Waiting(self._idle, time.monotonic() + self._patience)

    def _let_idle_go(self) -> None:
        """End connections that were kept and have nothing to say, so that they do not hold up the end."""
        for greenlet, waiting in list(self._idle.items()):
            if not gevent.select.select([self._callers[greenlet]], [], [], 0)[0]:
                self._end_wait(greenlet, waiting)

    def _end_waits(self) -> None:
        """End the waits for a request that last too long: one clock for all, since all may last as long."""
        while True:
            now = time.monotonic()
            pause = self._patience
            for greenlet, waiting in self._idle.items():  # the oldest first
                if waiting.until > now:
                    pause = waiting.until - now
                    break
                self._end_wait(greenlet, waiting)
            gevent.sleep(pause)

    def _end_wait(self, greenlet: Any, waiting: _Waiting) -> None:
        def end() -> None:
            if self._idle.get(greenlet) is waiting:  # and no request came in the meantime
                greenlet.throw(waiting)

        gevent.get_hub().loop.run_callback(end)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at once; told twice, once is enough."""
        # Ctrl-C reaches this process by the terminal and by its master, and a second end is a traceback.
        if not self._quitting:
            self._quitting = True
            super().handle_quit(sig, frame)

    @property
    def seconds_to_stop(self) -> float:
        """How long this worker may take to stop."""
        return float(self.cfg.graceful_timeout) if self.grace is None else self.grace

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request; raises StopIteration when the connection is to be closed."""
        if req.version >= (1, 1) and not _names_host(req.headers):
            raise MissingHost
        caller = CallerSocket(sock, self.write_timeout, lambda: _left(sock))
        try:
            if self._plainly:
                super().handle_request(listener_name, req, caller, addr)
            else:
                self._serve(listener_name, req, caller, addr)
            caller.flush()
            if not self.alive:
                raise StopIteration  # a connection kept for a next request would keep the worker, too
        except StopIteration:
            caller.flush()
            gevent.with_timeout(LINGER, _take_the_rest, req, timeout_value=None)
            raise

    def _serve(self, listener_name: Any, req: Any, caller: CallerSocket, addr: Any) -> None:
        """Do what gunicorn's own `handle_request` does when it has nothing to log and no hook to call."""
        response, environ = wsgi.create(req, caller, addr, listener_name, self.cfg, response_class=Response)
        environ["wsgi.multithread"] = True
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive:
            response.force_close()
        try:
            pieces = self.wsgi(environ, response.start_response)
            try:
                for piece in pieces:
                    response.write(piece)
                response.close()
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except (OSError, StopIteration):
            raise
        except (Exception, SystemExit):
            if not response.headers_sent:
                raise
            self.log.exception("Error handling request")
            # What was begun cannot be taken back: it ends here, and visibly too early.
            with contextlib.suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)
            raise StopIteration from None
        if response.should_close():
            raise StopIteration

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what never became a request, or what the app failed at, with OpenAI's envelope."""
        if isinstance(exc, (gevent.GreenletExit, SystemExit)):
            return  # the worker stops: nobody waits for an answer on this connection
        error = _to_error(exc)
        request_id = new_id("req_", 32)
        if isinstance(error, InternalError):
            self.log.error("request %s failed", request_id, exc_info=exc)
        _log.info(
            request_line(
                id=request_id,
                method=getattr(req, "method", None),
                path=getattr(req, "path", None),
                status=error.http_status,
                error=type(exc).__name__,
                caller=addr[0] if isinstance(addr, tuple) else None,
            )
        )
        page = _page(error, request_id, with_body=getattr(req, "method", None) != "HEAD")
        gevent.with_timeout(LINGER, _say, client, page, timeout_value=None)


def _names_host(headers: list[tuple[str, str]]) -> bool:
    for name, _ in headers:  # noqa: SIM110  # a generator costs more than all of this
        if name == "HOST":
            return True
    return False


def _left(sock: Any) -> None:
    from o2o.hangup import watcher

    watcher().left(sock.fileno())


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's response, which makes its date once a second and frames a chunk in one step."""

    _date = (0, "")

    def default_headers(self) -> list[str]:
        """Return the status line and what every response begins with."""
        if self.upgrade:
            return list(super().default_headers())
        second = int(time.time())
        if Response._date[0] != second:
            Response._date = (second, f"Date: {formatdate(second, usegmt=True)}\r\n")
        version = self.req.version
        headers = [
            f"HTTP/{version[0]}.{version[1]} {self.status}\r\nServer: {self.version}\r\n",
            Response._date[1],
            "Connection: close\r\n" if self.should_close() else "Connection: keep-alive\r\n",
        ]
        if self.chunked:
            headers.append("Transfer-Encoding: chunked\r\n")
        return headers

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if self.headers_sent and self.chunked and type(data) is bytes and data:
            self.sent += len(data)
            self.sock.sendall(b"%X\r\n%b\r\n" % (len(data), data))
        else:
            super().write(data)

    def _emit_body(self, data: bytes) -> None:
        self.sock.sendall(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)


def _is_watched(cfg: Any, log: Any) -> bool:
    """Tell whether anybody wants gunicorn to log each request or to call a hook of theirs around it."""
    hooks = ("pre_request", "post_request")
    return (
        type(log) is not Logger
        or getattr(log, "access_log_enabled", True)
        or cfg.loglevel == "debug"
        or any(cfg.settings[name].get() is not cfg.settings[name].default for name in hooks)
    )


class MissingHost(wrong.ParseException):  # type: ignore[misc]  # gunicorn has no types
    """RFC 9112: a request of HTTP/1.1 names its host; gunicorn does not mind."""


class _Waiting(BaseException):
    """A wait for a request, and what ends it when it is thrown into it: the block is left in silence."""

    def __init__(self, idle: dict[Any, _Waiting], until: float) -> None:
        self.until = until
        self._idle = idle

    def __enter__(self) -> _Waiting:
        self._idle[gevent.getcurrent()] = self
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        self._idle.pop(gevent.getcurrent(), None)
        return error is self


def started(worker: Any, grace: float | None = None, write_timeout: float | None = None) -> None:
    """Let a worker of any kind drain when it is told to stop; for gunicorn's `post_worker_init`.

    `grace` is gunicorn's graceful_timeout to the exact second, `write_timeout` is for our own worker.
    """
    from o2o.hangup import watcher

    if grace is not None:
        worker.grace = grace
    if write_timeout is not None:
        worker.write_timeout = write_timeout
    seconds = float(worker.cfg.graceful_timeout) if grace is None else grace
    here, before = watcher(), signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: Any) -> None:
        here.drain(seconds)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, drain)
    signal.siginterrupt(signal.SIGTERM, False)


_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (wrong.LimitRequestLine, 414, "The request line is too long."),
    (wrong.LimitRequestHeaders, 431, "The request's headers are too many or too large."),
    (wrong.ExpectationFailed, 417, "This server cannot do what the header 'Expect' asks for."),
)


def _to_error(exc: BaseException) -> O2OError:
    """Return what to answer; nothing of what the caller sent is repeated."""
    if not isinstance(exc, (wrong.ParseException, ssl.SSLError)) or isinstance(
        exc, (wrong.InvalidResponseHeader, wrong.InvalidResponseHeaderName, wrong.ConfigurationProblem)
    ):
        return InternalError()
    for kind, status, message in _STATUSES:
        if isinstance(exc, kind):
            return BadRequest(message, status=status)
    if isinstance(exc, wrong.UnsupportedTransferCoding):
        return ServerError("The transfer coding of the request is not supported.", status=501, retry=False)
    if isinstance(exc, wrong.ForbiddenProxyRequest):
        return Forbidden("This address may not speak for others.")
    what = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(exc).__name__).lower()
    return BadRequest(f"The HTTP request is malformed: {what}.")


def _page(error: O2OError, request_id: str, with_body: bool) -> bytes:
    status = error.http_status
    body = json.dumps(error.body()).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Server: o2o",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"x-request-id: {request_id}",
        *(f"{name}: {value}" for name, value in error.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (body if with_body else b"")


def _say(client: Any, page: bytes) -> None:
    with contextlib.suppress(OSError):
        client.setblocking(True)
        client.sendall(page)
        # Closing a socket with unread bytes resets the connection, and a reset may overtake the answer.
        client.shutdown(socket.SHUT_WR)
        while client.recv(1 << 16):
            pass


def _take_the_rest(req: Any) -> None:
    # As above, for an answer that came before the body had arrived.
    with contextlib.suppress(OSError, wrong.ParseException):
        while req.body.read(1 << 16):
            pass
