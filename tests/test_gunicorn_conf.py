"""gunicorn's settings: what they become, and what a real gunicorn does with them."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config

from o2o.admission import most_connections, most_descriptors
from tests.clean import REPOSITORY, UNMEASURED, python
from tests.ollama import FakeOllama
from tests.server import Server

CONF = REPOSITORY / "o2o" / "gunicorn_conf.py"
ROOT_CONF = REPOSITORY / "gunicorn.conf.py"

_PRINT = """
import json, runpy, sys
names = runpy.run_path(sys.argv[1])
touched = sorted({"socket", "ssl", "select", "requests", "gevent"} & set(sys.modules))
plain = {n: v for n, v in names.items() if n[0] != "_" and isinstance(v, (str, int, type(None)))}
print(json.dumps([plain, touched, sorted(n for n, v in names.items() if n[0] != "_" and callable(v))]))
"""


def settings(cwd: Path, conf: Path = CONF, **environ: str) -> tuple[dict[str, Any], list[str], list[str]]:
    done = python("-c", _PRINT, str(conf), cwd=cwd, **environ)
    assert done.returncode == 0, done.stderr
    plain, touched, hooks = json.loads(done.stdout)
    return plain, touched, hooks


_STARTING = """
import runpy, sys
from types import SimpleNamespace
log = SimpleNamespace(error=print, warning=print)
address = [("no-such-host.invalid", 1)] if len(sys.argv) < 3 else [sys.argv[2]]
hooks = runpy.run_path(sys.argv[1])
hooks["on_starting"](SimpleNamespace(log=log, cfg=SimpleNamespace(address=address)))
hooks["when_ready"](SimpleNamespace(log=log, LISTENERS=[]))
"""

# What only workers need, and what not even their first answers do.
_OURS = ("flask", "werkzeug", "requests", "urllib3", "msgspec", "o2o.app")
_LATER = ("jsonschema", "fastjsonschema", "ctypes")
_LOOKING = f"""
from o2o.gunicorn_conf import *
from o2o import gunicorn_conf as ours
import gc, json, sys

def say(what, **more):
    names = sorted({{*{_OURS!r}, *{_LATER!r}}} & set(sys.modules))
    more |= {{"names": names, "collects": gc.isenabled(), "left": gc.get_freeze_count()}}
    print(what, json.dumps(more), flush=True)

def pre_fork(server, worker):
    ours.pre_fork(server, worker)
    say("FORKS")

def post_worker_init(worker):
    say("LOADED")
    ours.post_worker_init(worker)
    say("ANSWERS")
    import gevent
    from o2o.schemas import _compile
    def turn():
        turns = 0
        while _compile.validator.cache_info().currsize < 3 or "ctypes" not in sys.modules:
            gevent.sleep(0.001)
            turns += "fastjsonschema" in sys.modules
        say("IDLE", turns=turns)
    gevent.spawn(turn)
"""

_PATCHING = """
import importlib.metadata, json, runpy, sys
hooks = runpy.run_path(sys.argv[1])
looks, entry_points = [], importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **wanted: looks.append(wanted) or entry_points(**wanted)
if sys.argv[2] == "spared":
    hooks["_look_for_plugins_once"]()
from gevent import monkey
monkey.patch_all()
import plugin
print(json.dumps([len(looks), plugin.told]))
"""


def test_the_published_defaults(tmp_path: Path) -> None:
    found, _, _ = settings(tmp_path)
    assert found["bind"] == "0.0.0.0:8000"
    assert found["workers"] == 2
    assert found["worker_class"] == "o2o.worker.Worker"
    assert found["worker_connections"] == most_connections(1000, most_descriptors())
    assert (found["timeout"], found["graceful_timeout"], found["keepalive"]) == (60, 30, 10)
    assert (found["max_requests"], found["reuse_port"], found["preload_app"]) == (0, False, False)
    assert found["control_socket_disable"] is True
    assert found["accesslog"] is None
    assert found["loglevel"] == "info"
    assert "forwarded_allow_ips" not in found


def test_settings_become_gunicorns_and_seconds_are_rounded_up(tmp_path: Path) -> None:
    found, _, _ = settings(
        tmp_path,
        O2O_HOST="::1",
        HOST="x86_64-conda-linux-gnu",
        PORT="8123",
        WEB_CONCURRENCY="5",
        O2O_MAX_IN_FLIGHT="7",
        O2O_GRACE="7.1",
        O2O_HEADER_TIMEOUT="0.2",
        O2O_LOG_LEVEL="debug",
    )
    assert found["bind"] == "[::1]:8123"
    assert (found["workers"], found["worker_connections"]) == (5, most_connections(7, most_descriptors()))
    assert (found["graceful_timeout"], found["keepalive"]) == (8, 1)
    assert found["loglevel"] == "debug"


def test_the_env_file_counts_for_gunicorn_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8124\nWEB_CONCURRENCY=3\nO2O_HOST=127.0.0.1\n")
    found, _, _ = settings(tmp_path, WEB_CONCURRENCY="4")
    assert (found["bind"], found["workers"]) == ("127.0.0.1:8124", 4)


@pytest.mark.parametrize("conf", [CONF, ROOT_CONF], ids=["installed", "checkout"])
def test_nothing_touches_sockets_before_the_workers_do(tmp_path: Path, conf: Path) -> None:
    _, touched, _ = settings(tmp_path, conf, **UNMEASURED)
    assert touched == []


def test_the_checkout_serves_its_own_wsgi_module_with_the_same_settings(tmp_path: Path) -> None:
    installed, _, hooks = settings(tmp_path, CONF)
    checkout, _, checkout_hooks = settings(tmp_path, ROOT_CONF)
    assert installed.pop("wsgi_app") == "o2o.wsgi:app"
    assert checkout.pop("wsgi_app") == "wsgi:app"
    assert installed == checkout
    assert {"on_starting", "when_ready", "post_worker_init"} <= set(hooks) & set(checkout_hooks)


def test_gunicorn_knows_every_name_and_takes_every_value(tmp_path: Path) -> None:
    found, _, _ = settings(tmp_path)
    config = Config()
    for name, value in found.items():
        assert name in config.settings, f"{name} is none of gunicorn's settings"
        config.set(name, value)
    assert config.worker_tmp_dir in (None, "/dev/shm")
    assert config.reload is False


@pytest.mark.parametrize("conf", [CONF, ROOT_CONF], ids=["installed", "checkout"])
def test_wrong_settings_are_all_printed_and_gunicorn_ends_with_status_1(conf: Path) -> None:
    done = python(
        "-m", "gunicorn", "-c", str(conf), cwd=REPOSITORY, PORT="x", O2O_GRASE="1", O2O_REQUIRE_KEYS="true"
    )
    assert done.returncode == 1
    assert "PORT=x is not a whole number." in done.stderr
    assert "did you mean O2O_GRACE?" in done.stderr
    assert "O2O_API_KEYS has no key" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_does_not_resolve_ends_the_start_with_an_explanation() -> None:
    done = python("-m", "gunicorn", cwd=REPOSITORY, HOST="x86_64-conda-linux-gnu")
    assert done.returncode == 1
    assert "conda sets HOST" in done.stderr
    assert "Traceback" not in done.stderr


def test_sockets_that_are_open_already_are_not_tried(tmp_path: Path) -> None:
    done = python("-c", _STARTING, str(CONF), cwd=tmp_path, LISTEN_FDS="1")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_unix_socket_is_no_trouble(tmp_path: Path) -> None:
    done = python("-c", _STARTING, str(CONF), "/run/o2o.sock", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_server_that_is_stopped_while_it_starts_stops_at_once() -> None:
    with FakeOllama() as ollama:
        for _ in range(3):
            begun = time.monotonic()
            with Server(ollama.url, workers=3) as server:
                pass  # stopped with the first worker's first words
            assert server.process.returncode == 0
            assert time.monotonic() - begun < 15


def test_a_taken_port_gets_gunicorns_error_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, FakeOllama() as ollama:
        port = taken.getsockname()[1]
        server = Server(ollama.url, {"PORT": str(port)})
        try:
            log = server.await_log(lambda text: "Connection in use" in text, "gunicorn's error")
        finally:
            server.process.kill()  # it tries for 5 seconds, deaf to anything else
            server.stop()
    assert f"PORT={port + 1} make run" in log


def test_everybody_being_let_in_is_warned_of_once_and_loudly() -> None:
    with FakeOllama() as ollama, Server(ollama.url, {"O2O_HOST": "0.0.0.0"}, workers=2) as server:
        log = server.await_log(lambda text: text.count("Booting worker") == 2, "two workers")
    assert log.count("NO KEYS ARE SET") == 1
    assert "O2O_API_KEYS=" in log


@pytest.mark.parametrize("given", [{"O2O_HOST": "0.0.0.0", "O2O_API_KEYS": "k"}, {"O2O_HOST": "127.0.0.1"}])
def test_with_keys_or_on_loopback_there_is_no_warning(given: dict[str, str]) -> None:
    with FakeOllama() as ollama, Server(ollama.url, given) as server:
        assert "NO KEYS" not in server.log
    assert server.process.returncode == 0


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what a real gunicorn has loaded, and whether it collects garbage, at each step of its start."""
    conf = tmp_path_factory.mktemp("looking") / "conf.py"
    conf.write_text(_LOOKING)
    command = [sys.executable, "-m", "gunicorn", "-c", str(conf), "wsgi:app"]
    with FakeOllama() as ollama, Server(ollama.url, UNMEASURED, command=command) as server:
        log = server.await_log(lambda text: "IDLE" in text, "having loaded everything")
    steps = (line.split(" ", 1) for line in log.splitlines())
    return {what: json.loads(more) for what, more in steps if what in ("FORKS", "LOADED", "ANSWERS", "IDLE")}


def test_the_master_loads_nothing_that_only_its_workers_need(moments: dict[str, dict[str, Any]]) -> None:
    assert moments["FORKS"]["names"] == []


def test_a_worker_answers_before_it_loads_what_first_answers_do_not_need(
    moments: dict[str, dict[str, Any]],
) -> None:
    assert moments["ANSWERS"]["names"] == sorted(_OURS)
    assert moments["IDLE"]["names"] == sorted((*_OURS, *_LATER))


def test_others_have_their_turns_while_the_rest_is_loaded(moments: dict[str, dict[str, Any]]) -> None:
    assert moments["IDLE"]["turns"] >= 3


def test_nobody_looks_for_garbage_while_things_are_loaded(moments: dict[str, dict[str, Any]]) -> None:
    assert [moments[step]["collects"] for step in ("FORKS", "LOADED", "ANSWERS")] == [True, False, True]
    # What is there when the master forks, and later what the worker has loaded besides.
    assert moments["FORKS"]["left"] > 10_000
    assert moments["ANSWERS"]["left"] > moments["LOADED"]["left"] + 10_000


@pytest.mark.parametrize("how", ["spared", "as ever"])
def test_gevents_plugins_are_told_though_they_are_looked_for_once(tmp_path: Path, how: str) -> None:
    (tmp_path / "plugin.py").write_text("told = []\ndef tell(event): told.append(type(event).__name__)\n")
    about = tmp_path / "plugin-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[gevent.plugins.monkey.did_patch_all]\nplugin = plugin:tell\n")
    path = f"{tmp_path}{os.pathsep}{REPOSITORY}"
    done = python("-c", _PATCHING, str(CONF), how, cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    looks, told = json.loads(done.stdout)
    assert told == ["GeventDidPatchAllEvent"]
    assert looks == 1 if how == "spared" else looks > 10
