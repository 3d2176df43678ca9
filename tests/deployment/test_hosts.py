"""Hosts other than gunicorn: the shipped samples of those that are installed, and streams where sockets are hidden."""

from __future__ import annotations

import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from o2o.address import free_port
from o2o.app import create_app
from o2o.config import Settings
from o2o.upstream.line import Line
from o2o.upstream.replies import Beat
from tests.clean import REPOSITORY, UNMEASURED
from tests.deployment import fronts
from tests.deployment.running import (
    Caller,
    Program,
    ask,
    binary,
    departures,
    place,
    question,
    sample,
    skip_unless_readable,
    streams_at_once,
)
from tests.e2e.hosts import Host, wsgiref
from tests.fakes import ScriptedReplies, ScriptedUpstream
from tests.ollama import FakeOllama

KEY = {"Authorization": "Bearer sk-in-a-host"}
PACKAGES = Path(sysconfig.get_path("purelib"))
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BEAT = 0.5


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


def environ(ollama: FakeOllama) -> dict[str, str]:
    return {
        "OLLAMA_API_BASE_URL": ollama.url,
        "O2O_API_KEYS": KEY["Authorization"].removeprefix("Bearer "),
        "O2O_HEARTBEAT_AFTER": str(BEAT),
        "O2O_HEARTBEAT_INTERVAL": str(BEAT),
        **UNMEASURED,
    }


# --- where the socket is hidden


class AttentiveUpstream(ScriptedUpstream):
    """Remembers which signs of life were asked for."""

    beat: Beat | None = None

    def ask(
        self,
        path: str,
        payload: Mapping[str, Any],
        line: Line,
        *,
        patient: bool = False,
        beat: Beat | None = None,
    ) -> ScriptedReplies:
        self.beat = beat
        return super().ask(path, payload, line, patient=patient, beat=beat)


def beat_of(settings: Beat, environ: dict[str, Any], *, streamed: bool = True) -> Beat | None:
    upstream = AttentiveUpstream([[{"message": {"content": "a"}, "done": True, "done_reason": "stop"}]])
    app = create_app(Settings(heartbeat_after=settings.after, heartbeat_interval=settings.interval), upstream)
    body = question(stream=streamed)
    answer = app.test_client().post("/v1/chat/completions", json=body, environ_overrides=environ)
    assert answer.status_code == 200, answer.text
    answer.close()
    return upstream.beat


@pytest.mark.parametrize(
    ("settings", "given"),
    [(Beat(10, 10), Beat(3, 3)), (Beat(1, 20), Beat(1, 3)), (Beat(0.5, 0.25), Beat(0.5, 0.25))],
)
def test_heartbeats_count_at_most_3_seconds_where_only_they_tell_of_departures(
    settings: Beat, given: Beat
) -> None:
    assert beat_of(settings, {}) == given
    assert beat_of(settings, {}, streamed=False) is None
    callers, ours = socket.socketpair()
    with callers, ours:
        assert beat_of(settings, {"werkzeug.socket": ours}) == settings


def test_absent_callers_of_a_host_without_sockets_are_noticed_within_3_heartbeats(ollama: FakeOllama) -> None:
    with Host(ollama.url, command=[sys.executable, *wsgiref()]) as host:
        assert max(departures(host.port, ollama, "silence", "between events", patience=9.5)) < 9.5


# --- the samples


@pytest.fixture(scope="module")
def uwsgi(ollama: FakeOllama) -> Iterator[Program]:
    program, port = binary("uwsgi"), free_port("127.0.0.1")
    asked = subprocess.run(
        [program, "--plugin", "python3", "--python-version"], capture_output=True, text=True, timeout=10
    )
    if not asked.stdout.startswith(f"{PYTHON}."):
        pytest.skip(f"uwsgi has no Python {PYTHON}")
    changes = {
        # Its Python is not the one of a virtual environment that was made with another one.
        "virtualenv = /srv/o2o/.venv": f"pythonpath = {PACKAGES}",
        "chdir = /srv/o2o": f"chdir = {REPOSITORY}",
        "127.0.0.1:8000": f"127.0.0.1:{port}",
        "processes = 2": "processes = 1",
    }
    with place() as directory:
        ini = directory / "uwsgi.ini"
        ini.write_text(sample("uwsgi.ini", changes))
        with Program([program, "--ini", str(ini)], port, directory, environ(ollama)) as running:
            yield running


def test_uwsgi_streams_and_hears_of_departures_at_once(uwsgi: Program, ollama: FakeOllama) -> None:
    assert streams_at_once(uwsgi.port, ollama, KEY)
    assert max(departures(uwsgi.port, ollama, "silence", "between events", "whole", headers=KEY)) < BEAT


def test_uwsgi_answers_one_request_for_each_connection_and_says_so(uwsgi: Program) -> None:
    assert ask(uwsgi.port, question()).status == 401
    answer = ask(uwsgi.port, question(), KEY)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    with Caller(uwsgi.port, KEY) as caller:
        assert [caller.send(question()).answer().status for _ in range(3)] == [200] * 3


@pytest.fixture(scope="module")
def mod_wsgi(ollama: FakeOllama) -> Iterator[Program]:
    binary("apache2")
    if not list(fronts.MODULES.glob(f"mod_wsgi.so-{PYTHON}")):
        pytest.skip(f"Apache has no mod_wsgi for Python {PYTHON}")
    skip_unless_readable(REPOSITORY, PACKAGES)
    port = free_port("127.0.0.1")
    changes = {
        # As above.
        "python-home=/srv/o2o/.venv python-path=/srv/o2o": f"python-path={REPOSITORY}:{PACKAGES}",
        "processes=2": "processes=1",
        "/srv/o2o": str(REPOSITORY),
    }
    with place() as directory:
        command = fronts.apache_command(sample("apache-wsgi.conf", changes), "wsgi", directory, port)
        with Program(command, port, directory, environ(ollama)) as running:
            yield running


def test_mod_wsgi_streams_and_ends_streams_of_absent_callers(mod_wsgi: Program, ollama: FakeOllama) -> None:
    assert streams_at_once(mod_wsgi.port, ollama, KEY)
    waited = departures(mod_wsgi.port, ollama, "silence", "between events", headers=KEY)
    assert max(waited) < 3 * BEAT + 0.3


def test_mod_wsgi_passes_keys_and_bodies_of_unknown_length_on(mod_wsgi: Program) -> None:
    assert ask(mod_wsgi.port, question()).status == 401
    assert ask(mod_wsgi.port, question(), KEY).status == 200
    assert ask(mod_wsgi.port, question(), KEY, chunked=True).status == 200
    assert ask(mod_wsgi.port, question(model="gone"), KEY).error["code"] == "model_not_found"


def test_passenger_understands_its_sample() -> None:
    binary("apache2")
    if not (fronts.MODULES / "mod_passenger.so").exists():
        pytest.skip("Apache has no mod_passenger")
    with place() as directory:
        site = sample("apache-passenger.conf", {"/srv/o2o": str(REPOSITORY)})
        command = fronts.apache_command(site, "passenger", directory, free_port("127.0.0.1"))
        done = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=20)
    assert "Syntax OK" in done.stderr, done.stderr
