"""The command line: what can be asked, and with which status it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import requests

from o2o import __version__
from o2o.cli import INTERRUPTED, main
from tests.clean import environment, python
from tests.ollama import FakeOllama, stream


def o2o(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "o2o", *arguments, cwd=cwd, **environ)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--version"], 0, f"o2o {__version__}\n"),
        (["--help"], 0, "serve"),
        (["serve", "--help"], 0, "--practice-if-absent"),
        (["check", "--help"], 0, "--json"),
        (["practice", "--help"], 0, "--pace"),
        ([], 2, "required"),
        (["sing"], 2, "invalid choice"),
        (["serve", "--port", "many"], 2, "--port"),
        (["serve", "--practice", "--practice-if-absent"], 2, "not allowed with"),
    ],
)
def test_asking_wrong_or_for_help(
    arguments: Sequence[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == status
    printed = capsys.readouterr()
    assert says in printed.out + printed.err
    assert "--with-parent" not in printed.out


def test_check_ends_with_0_when_all_is_well(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        done = o2o("check", cwd=tmp_path, OLLAMA_API_BASE_URL=ollama.url)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("All is well.\n")
    assert done.stderr == ""


def test_check_reads_the_env_file_of_the_directory(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        (tmp_path / ".env").write_text(f"OLLAMA_API_BASE_URL={ollama.url}\n")
        done = o2o("check", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["ok"] is True


def test_check_ends_with_1_when_ollama_is_not_there(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        pass
    done = o2o("check", "--json", cwd=tmp_path, OLLAMA_API_BASE_URL=ollama.url)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert report["findings"][-1]["topic"] == "ollama"


def test_check_tells_every_wrong_setting(tmp_path: Path) -> None:
    done = o2o("check", cwd=tmp_path, O2O_GRASE="1", PORT="x")
    assert done.returncode == 1
    assert "O2O_GRASE" in done.stdout
    assert "PORT=x" in done.stdout
    assert "Traceback" not in done.stderr


def practising(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "o2o", "practice", "--port", "0", *arguments],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_control_c_ends_a_check_that_waits_without_a_traceback(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/chat", stream(30.0, {"done": True}))
        process = subprocess.Popen(
            [sys.executable, "-m", "o2o", "check"],
            cwd=tmp_path,
            env=environment(OLLAMA_API_BASE_URL=ollama.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ollama.await_requests(1, "/api/chat")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (INTERRUPTED, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_practice_prints_its_address_and_answers_until_interrupted(number: int, tmp_path: Path) -> None:
    with practising("--pace", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert requests.get(f"{url}/api/tags", timeout=10).json()["models"]
        process.send_signal(number)
        assert process.wait(10) == 0


def test_practice_on_a_taken_port_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = o2o("practice", "--port", port, cwd=tmp_path)
    assert done.returncode == 1
    assert f"cannot listen on port {port}" in done.stderr


def test_practice_goes_with_the_process_that_it_was_started_for(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'o2o', 'practice', '--port', '0', '--with-parent'],\n"
        "                         stdout=subprocess.PIPE, text=True)\n"
        "print(child.stdout.readline(), end='', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        url = parent.stdout.readline().strip()
        assert requests.get(f"{url}/api/version", timeout=10).status_code == 200
        parent.kill()
        # The child holds this pipe too: it ends when both are gone.
        assert parent.stderr.read() == ""
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/api/version", timeout=10)
