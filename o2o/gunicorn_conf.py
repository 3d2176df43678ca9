"""gunicorn's settings, made from ours; `gunicorn.conf.py` and `o2o serve` use them.

gunicorn reads the names of this module that it knows. Nothing here may import socket or ssl before the
workers have made those cooperative: a TLS context made of both halves recurses for ever. The hooks that need
them import late; they run in the master, which never serves.
"""

from __future__ import annotations

import gc
import os
import signal
from math import ceil
from pathlib import Path
from typing import Any

from o2o.admission import most_connections, most_descriptors
from o2o.start import settings_or_exit

_LOAD_AFTER = 0.5
"""Seconds after which a new worker loads what its first answers need not wait for."""

# Loading makes very many objects and next to no garbage, and looking for it is a fifth of the start.
gc.disable()

_settings = settings_or_exit(Path.cwd())


def _bind(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


wsgi_app = "o2o.wsgi:app"
bind = _bind(_settings.host, _settings.port)

# Two processes use two cores, and while one of them is replaced the other one serves.
workers = _settings.web_concurrency

# A greenlet for each connection, and our own envelope on the errors that gunicorn itself answers.
worker_class = "o2o.worker.Worker"

# A full worker stops accepting, health checks included; so admission, which answers, has to be full first.
worker_connections = most_connections(_settings.max_in_flight, most_descriptors())

# Not a limit on requests: a worker whose loop did not turn for so long is killed, with all its streams.
timeout = 60

# After this long the master kills. Streams are told 5 seconds earlier, by the exact setting.
graceful_timeout = ceil(_settings.grace)

# Also the time in which the headers of a request have to arrive. Keep a proxy's own idle time-out below it.
keepalive = ceil(_settings.header_timeout)

# A worker that is replaced for its count of requests cuts its streams.
max_requests = 0

# With it, connections in the queue of a worker that ends are reset.
reuse_port = False

# The app is loaded after the sockets became cooperative, never before.
preload_app = False

# A second gunicorn of the same user would take the socket of the first one away, and nothing here needs it.
control_socket_disable = True

# The heart beats in a file; on a full or slow disk it would stop, and the worker be killed.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None  # noqa: S108  # not a file of ours

# o2o writes a line for each request itself.
accesslog = None
loglevel = _settings.log_level


def on_starting(server: Any) -> None:
    """Say in plain words what will go wrong with the address, before gunicorn tries it."""
    from o2o.address import problem

    _let_young_workers_end()
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys():
        return  # the sockets are open already: an upgrade in place, or systemd's
    for address in server.cfg.address:
        if not isinstance(address, tuple):
            continue
        trouble = problem(*address)
        if trouble is not None:
            server.log.error(trouble.text)
            if trouble.lasting:
                raise SystemExit(1)
            # A process that is just ending may give the port up: gunicorn tries for 5 seconds.


def when_ready(server: Any) -> None:
    """Warn once, loudly, when everybody who reaches this address may use the models."""
    from o2o.address import is_loopback

    open_to_all = [
        _bind(*address[:2])
        for address in (listener.getsockname() for listener in server.LISTENERS)
        if isinstance(address, tuple) and not is_loopback(address[0])
    ]
    if open_to_all and not _settings.api_keys:
        server.log.warning(
            "\n"
            "  ****************************************************************************\n"
            "  NO KEYS ARE SET: everybody who can reach %s may use your models.\n"
            "  Ask callers for a key:        O2O_API_KEYS=some-long-secret\n"
            "  or serve this machine only:   O2O_HOST=127.0.0.1\n"
            "  ****************************************************************************",
            ", ".join(open_to_all),
        )


def pre_fork(server: Any, worker: Any) -> None:
    """Let the master collect garbage again, and nobody look at what is there by now: master and workers share it."""
    gc.freeze()
    gc.enable()


def post_fork(server: Any, worker: Any) -> None:
    """Let the worker load without looking for garbage, or for gevent's plugins again and again."""
    gc.disable()
    _look_for_plugins_once()


def post_worker_init(worker: Any) -> None:
    """Let the app drain when the worker is told to stop, by the exact settings and not gunicorn's whole seconds."""
    from o2o.worker import started

    started(worker, grace=_settings.grace, write_timeout=_settings.write_timeout)
    # What was loaded until now stays for ever, and what a request makes goes without the collector: it need neither
    # look at the one again and again nor come by for every few tokens of the other.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    _load_the_rest_soon()


def _look_for_plugins_once() -> None:
    """Spare gevent the metadata of all installed packages, which it reads for each of 25 patches: 16 ms for 65."""
    from importlib.metadata import entry_points

    from gevent import events

    found = entry_points()
    plugins = {
        group: found.select(group=group) for group in found.groups if group.startswith("gevent.plugins.")
    }

    def tell(event: Any) -> None:
        events.notify(event)  # type: ignore[attr-defined]  # gevent's types do not have it
        for plugin in plugins.get(event.ENTRY_POINT_NAME, ()):
            plugin.load()(event)

    events.notify_and_call_entry_points = tell  # type: ignore[attr-defined]  # likewise


def _load_the_rest_soon() -> None:
    """Compile the schemas when the worker has begun to answer, unless a request is first and does it.

    In a thread of its own: streams go on meanwhile, where they would stand still for a fifth of a second.
    """
    import threading

    from gevent import get_hub

    timer = threading.Timer(_LOAD_AFTER, lambda: get_hub().threadpool.apply(_load_the_rest))
    timer.daemon = True
    timer.start()


def _load_the_rest() -> None:
    import ctypes

    from o2o.schemas import compile_all

    compile_all()
    # Compiling leaves 5 MB in pieces, which glibc keeps unless it is asked; others have no such function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _let_young_workers_end() -> None:
    """Let a worker that is told to stop before it has started just end.

    It gets its own signal handlers late; until then it has the master's, in which the order is lost, and the
    whole server would need `graceful_timeout` to stop.
    """
    orders = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
    master = os.getpid()

    def end_on_order() -> None:
        if os.getppid() == master:
            for number in orders:
                signal.signal(number, lambda *_: os._exit(0))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, orders)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, orders),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, orders),
        after_in_child=end_on_order,
    )
