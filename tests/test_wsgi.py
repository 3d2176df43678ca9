"""The WSGI application in the hosts that are promised: gunicorn without our settings, `flask run`, a plain one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from o2o.address import free_port
from tests.clean import REPOSITORY, environment, python
from tests.ollama import FakeOllama


@pytest.mark.parametrize("module", ["wsgi", "o2o.wsgi"])
def test_both_modules_offer_app_and_application(module: str, tmp_path: Path) -> None:
    code = f"from {module} import app, application; print(app is application, callable(app))"
    done = python("-c", code, cwd=tmp_path)
    assert done.stdout == "True True\n", done.stderr


def test_flask_run_serves(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    with FakeOllama() as ollama:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "run", "--host", "127.0.0.1", "--port", str(port)],
            cwd=REPOSITORY,
            env=environment(OLLAMA_API_BASE_URL=ollama.url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            answer = _patiently(f"http://127.0.0.1:{port}/v1/models", process)
        finally:
            process.terminate()
            process.wait(10)
    assert answer.json()["object"] == "list"


def _patiently(url: str, process: subprocess.Popen[bytes]) -> requests.Response:
    until = time.monotonic() + 20
    while True:
        try:
            return requests.get(url, timeout=10)
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)


WRONG = {"O2O_GRASE": "1", "PORT": "x"}


def test_wrong_settings_end_flask_run_with_all_problems_and_status_1() -> None:
    done = python("-m", "flask", "run", cwd=REPOSITORY, **WRONG)
    assert done.returncode == 1
    assert "did you mean O2O_GRACE?" in done.stderr
    assert "PORT=x" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_end_a_gunicorn_with_other_settings_too() -> None:
    # Its master does not look at our settings; a worker that ended with 1 would be started again for ever.
    done = python(
        "-m",
        "gunicorn",
        "-c",
        "/dev/null",
        "-b",
        "127.0.0.1:0",
        "--no-control-socket",
        "wsgi:app",
        cwd=REPOSITORY,
        O2O_GRASE="1",
    )
    assert done.returncode not in (0, None)
    assert "did you mean O2O_GRACE?" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_end_an_import_with_status_1(tmp_path: Path) -> None:
    done = python("-c", "import o2o.wsgi", cwd=tmp_path, **WRONG)
    assert done.returncode == 1
    assert "PORT=x" in done.stderr
