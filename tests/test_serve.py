"""`o2o serve`, run as a process: what it prints works as printed, and it becomes gunicorn."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from o2o.address import free_port
from o2o.config import Settings
from o2o.serve import Wishes, as_variables, greeting, practice_notice
from o2o.survey import Known, Survey
from tests.clean import environment, python
from tests.ollama import FakeOllama, whole
from tests.server import Server

MODEL = Known("qwen3:8b", frozenset({"completion"}), 8192, None, 1, False)


@contextmanager
def serving(ollama: FakeOllama, *arguments: str, **environ: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "o2o", "serve", *arguments]
    with Server(ollama.url, environ, command=command) as server:
        yield server


def get(url: str) -> requests.Response:
    # A connection that is kept alive would keep a stopping server alive too.
    return requests.get(url, headers={"Connection": "close"}, timeout=10)


def snippets(log: str) -> tuple[str, str]:
    """Return the curl line and the Python program of a greeting."""
    curl = re.search(r"^curl .*$", log, re.MULTILINE)
    program = re.search(r"^from openai.*?^print\(.*?\)$", log, re.MULTILINE | re.DOTALL)
    assert curl is not None
    assert program is not None
    return curl[0], program[0]


def test_the_greeting_names_the_address_ollama_and_its_models() -> None:
    with FakeOllama() as ollama, serving(ollama) as server:
        assert f"o2o 0.1.0 at {server.url}/v1" in server.log
        assert f"at {ollama.url} has practice:latest, " in server.log
        assert get(f"{server.url}/v1/models").status_code == 200
    assert server.process.returncode == 0


@pytest.mark.parametrize("keys", [{}, {"O2O_API_KEYS": "sesame"}], ids=["open", "keyed"])
def test_what_is_printed_works_as_printed(keys: dict[str, str]) -> None:
    with FakeOllama() as ollama, serving(ollama, "--host", "0.0.0.0", **keys) as server:
        curl, program = snippets(server.log)
        assert "sesame" not in server.log
        key = environment(OPENAI_API_KEY="sesame") if keys else environment()
        if shutil.which("curl"):
            done = subprocess.run(
                ["/bin/sh", "-c", f"{curl} --silent --show-error --max-time 20"],
                env=key,
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert '"chat.completion"' in done.stdout, done
        done = subprocess.run(
            [sys.executable, "-c", program], env=key, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_the_process_stays_the_same_so_that_others_can_watch_it() -> None:
    with FakeOllama() as ollama, serving(ollama) as server:
        assert f"[{server.process.pid}] [INFO] Listening at" in server.log


def test_the_command_line_beats_the_environment() -> None:
    port = free_port("127.0.0.1")
    with FakeOllama() as ollama, serving(ollama, "--port", str(port), "--workers", "2", PORT="1") as server:
        assert server.port == port
        server.await_log(lambda log: log.count("Booting worker") == 2, "two workers")


def test_without_an_ollama_it_starts_says_so_and_answers_503() -> None:
    with FakeOllama() as ollama:
        pass
    with serving(ollama) as server:
        assert f"Ollama at {ollama.url} is not there yet" in server.log
        assert "callers get 503" in server.log
        response = get(f"{server.url}/v1/models")
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "upstream_unavailable"


def test_it_works_from_any_directory_and_reads_the_env_file_there(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    (tmp_path / ".env").write_text(f"PORT={port}\nO2O_HOST=127.0.0.1\nWEB_CONCURRENCY=1\n")
    with FakeOllama() as ollama:
        process = subprocess.Popen(
            [sys.executable, "-m", "o2o", "serve"],
            cwd=tmp_path,
            env=environment(OLLAMA_API_BASE_URL=ollama.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "Booting worker" in line:
                    break
            assert get(f"http://127.0.0.1:{port}/v1/models").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait(20) == 0
            process.stdout.close()


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"O2O_GRASE": "1", "PORT": "x"}, "did you mean O2O_GRACE?"),
        ({"HOST": "x86_64-conda-linux-gnu"}, "conda sets HOST"),
        ({"O2O_REQUIRE_KEYS": "true"}, "O2O_API_KEYS has no key"),
    ],
)
def test_what_cannot_work_is_told_and_nothing_starts(
    environ: dict[str, str], says: str, tmp_path: Path
) -> None:
    done = python("-m", "o2o", "serve", cwd=tmp_path, **environ)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_taken_port_is_told_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = python("-m", "o2o", "serve", "--host", "127.0.0.1", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert f"PORT={port + 1} make run" in done.stderr


def test_practice_is_said_in_plain_words_and_ends_with_the_server() -> None:
    with FakeOllama() as unused, serving(unused, "--practice") as server:
        assert "PRACTICE upstream" in server.log
        practice = re.search(r"Ollama \S+ at (http://\S+) has", server.log)
        assert practice is not None
        assert get(f"{practice[1]}/api/version").status_code == 200
        answer = requests.post(
            f"{server.url}/v1/chat/completions",
            json={"model": "practice", "messages": [{"role": "user", "content": "Hello!"}]},
            headers={"Connection": "close"},
            timeout=10,
        )
        assert answer.json()["choices"][0]["message"]["content"]
        os.kill(server.process.pid, signal.SIGTERM)
        server.process.wait(20)
    # The last writer of the pipe was the practice upstream: it has gone with the server.
    assert not server._reader.is_alive()
    assert unused.requests == []


def test_practice_if_absent_leaves_a_configured_ollama_alone() -> None:
    with FakeOllama() as ollama, serving(ollama, "--practice-if-absent") as server:
        assert "PRACTICE" not in server.log
        assert f"at {ollama.url} has" in server.log


def test_practice_if_absent_steps_in_when_nothing_is_configured_and_nothing_answers() -> None:
    with socket.socket() as probe:
        absent = probe.connect_ex(("localhost", 11434)) != 0
    with FakeOllama() as unused, serving(unused, "--practice-if-absent", OLLAMA_API_BASE_URL="") as server:
        notice = "No Ollama answers at http://localhost:11434: o2o talks to its PRACTICE upstream"
        assert (notice in server.log) == absent


def test_wishes_become_settings() -> None:
    assert as_variables(Wishes()) == {}
    assert as_variables(Wishes("::1", 0, 3)) == {"O2O_HOST": "::1", "PORT": "0", "WEB_CONCURRENCY": "3"}


def test_a_greeting_without_models_says_what_to_pull() -> None:
    text = greeting(Settings(), Survey(None, "0.33.0"))
    assert "ollama pull llama3.2" in text
    assert '"model":"llama3.2"' in text


def test_a_greeting_without_chat_models_says_so() -> None:
    model = MODEL._replace(name="all-minilm", capabilities=frozenset({"embedding"}))
    assert "None of them can chat. Get one that can: ollama pull llama3.2" in greeting(
        Settings(), Survey(None, "0.33.0", (model,))
    )


def test_a_greeting_with_many_models_names_some() -> None:
    models = tuple(MODEL._replace(name=f"m{number}") for number in range(11))
    assert "m7 and 3 more" in greeting(Settings(), Survey(None, "", models))


def test_a_greeting_uses_a_loopback_address_and_a_model_that_is_there() -> None:
    curl, program = snippets(greeting(Settings(), Survey(None, "", (MODEL,))))
    words = shlex.split(curl)
    assert words[1] == "http://127.0.0.1:8000/v1/chat/completions"
    assert '"model":"qwen3:8b"' in words[-1]
    assert 'model="qwen3:8b"' in program
    compile(program, "snippet", "exec")


def test_the_practice_notice_says_why_and_how_to_get_the_real_thing() -> None:
    assert "No Ollama answers at http://localhost:11434" in practice_notice(Settings(), wanted=False)
    assert "ollama pull" in practice_notice(Settings(), wanted=True)


def test_an_ollama_without_models_is_served_too() -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/tags", whole({"models": []}))
        with serving(ollama) as server:
            assert "has no models yet. Get one: ollama pull llama3.2" in server.log
