"""The bench's own tools must be able to fail: one that finds nothing wrong makes every row look right."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import build, report, rows, scenarios, server

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the bench is for Linux"),
    pytest.mark.skipif(build.compiler() is None, reason="there is no C compiler"),
]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("bench")
    return {name: build.compile_tool(name, directory) for name in ("fake_ollama", "load")}


@pytest.fixture(scope="module")
def ollama(tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = server.free_port()
    log = tmp_path_factory.mktemp("log") / "fake.log"
    with server.Server([tools["fake_ollama"], str(port)], server.cpus()[1], log, os.environ) as fake:
        fake.wait_ready(port, "/api/version", 10)
        yield port


def load(tools: dict[str, Path], port: int, *options: str, body: Any = None) -> dict[str, Any]:
    name = tools["load"].with_name("body.json")
    name.write_text(json.dumps(body))
    command = [str(tools["load"]), "--port", str(port), "--body", str(name), "--cap", "5", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=20, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def event(index: int | None, finish: str | None = None, **more: Any) -> bytes:
    delta = {"content": f" w#{index}@1000#"} if index is not None else {}
    return (
        b"data: "
        + json.dumps({"choices": [{"delta": delta, "finish_reason": finish, **more}]}).encode()
        + b"\n\n"
    )


DONE = b"data: [DONE]\n\n"
WHOLE_STREAM = [event(0), event(1), event(2), event(None, "stop"), DONE]


@contextlib.contextmanager
def one_answer(pieces: list[bytes], last_chunk: bool = True) -> Iterator[int]:
    """Serve one connection: a stream of these pieces, one chunk each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for piece in pieces:
                    connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                if last_chunk:
                    connection.sendall(b"0\r\n\r\n")
                    connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def check_stream(
    tools: dict[str, Path], pieces: list[bytes], *options: str, last_chunk: bool = True
) -> dict[str, Any]:
    with one_answer(pieces, last_chunk) as port:
        return load(tools, port, "--check", "sse", "--tokens", "3", "--requests", "1", *options)


def test_the_load_generator_accepts_a_right_stream(tools: dict[str, Path]) -> None:
    seen = check_stream(tools, WHOLE_STREAM)
    assert (seen["ok"], seen["failed"], seen["tokens"]) == (1, 0, 3)


def test_the_load_generator_reads_events_that_are_cut_anywhere(tools: dict[str, Path]) -> None:
    text = b"".join(WHOLE_STREAM)
    seen = check_stream(tools, [text[i : i + 7] for i in range(0, len(text), 7)])
    assert (seen["ok"], seen["failed"]) == (1, 0)


@pytest.mark.parametrize(
    ("pieces", "fault"),
    [
        pytest.param([event(0), event(2), event(None, "stop"), DONE], "order", id="a lost token"),
        pytest.param(
            [event(0), event(1), event(1), event(2), event(None, "stop"), DONE], "order", id="a doubled token"
        ),
        pytest.param(
            [event(0), event(2), event(1), event(None, "stop"), DONE], "order", id="reordered tokens"
        ),
        pytest.param([event(0), event(1), event(None, "stop"), DONE], "short", id="the last token lost"),
        pytest.param(WHOLE_STREAM[:-1], "no_end", id="no [DONE]"),
        pytest.param([*WHOLE_STREAM, DONE], "after_end", id="two [DONE]"),
        pytest.param([*WHOLE_STREAM[:3], DONE], "no_finish", id="no finish chunk"),
        pytest.param([*WHOLE_STREAM[:4], event(None, "stop"), DONE], "no_finish", id="two finish chunks"),
        pytest.param(
            [event(0), b'data: {"error": {"message": "x"}}\n\n', DONE], "error", id="an error event"
        ),
        pytest.param(
            [event(0), b'data: {"choices": [}\n\n', *WHOLE_STREAM[1:]], "bad_json", id="broken JSON"
        ),
    ],
)
def test_the_load_generator_finds(tools: dict[str, Path], pieces: list[bytes], fault: str) -> None:
    seen = check_stream(tools, pieces)
    assert (seen["ok"], seen["faults"]) == (0, {fault: 1})


def test_the_load_generator_finds_a_stream_that_breaks_off(tools: dict[str, Path]) -> None:
    seen = check_stream(tools, WHOLE_STREAM[:2], last_chunk=False)
    assert (seen["ok"], seen["faults"]) == (0, {"closed": 1})


def test_the_load_generator_finds_missing_log_probabilities(tools: dict[str, Path]) -> None:
    with_first = event(0, logprobs={"content": [{"token": " w#0@1000#", "logprob": -1}]})
    seen = check_stream(tools, [with_first, *WHOLE_STREAM[1:]], "--logprobs", "1")
    assert (seen["ok"], seen["faults"]) == (0, {"logprobs": 1})


def test_the_load_generator_finds_a_stream_that_hangs(tools: dict[str, Path], ollama: int) -> None:
    options = ("--path", "/api/chat", "--check", "ndjson", "--requests", "1", "--cap", "0.2")
    seen = load(tools, ollama, *options, body={"model": "t2d2000"})
    assert (seen["ok"], seen["faults"]) == (0, {"hung": 1})


def test_the_load_generator_finds_a_wrong_status(tools: dict[str, Path], ollama: int) -> None:
    seen = load(
        tools,
        ollama,
        "--path",
        "/api/chat",
        "--check",
        "ndjson",
        "--requests",
        "1",
        body={"model": "no-such-model"},
    )
    assert (seen["ok"], seen["faults"]) == (0, {"status": 1})
    assert "404" in seen["first_fault"]


@pytest.mark.parametrize(
    "name", ["burst-16-b32", "small-1", "thinking", "tools", "logprobs", "embed-1x768", "big-1"]
)
def test_the_fake_ollama_answers_rightly(tools: dict[str, Path], ollama: int, name: str) -> None:
    scenario = next(one for one in scenarios.SCENARIOS if one.name == name)
    options = [*scenarios.checks(scenario, "native", "direct"), "--requests", "8", "--concurrency", "2"]
    seen = load(
        tools,
        ollama,
        "--path",
        scenarios.path(scenario, "native"),
        *options,
        body=scenarios.body(scenario, "native"),
    )
    assert (seen["ok"], seen["faults"]) == (8, {})


def test_a_token_that_the_fake_ollama_did_not_send_is_missed(tools: dict[str, Path], ollama: int) -> None:
    options = ("--path", "/api/chat", "--check", "ndjson", "--tokens", "6", "--requests", "1")
    seen = load(tools, ollama, *options, body={"model": "t5"})
    assert seen["faults"] == {"short": 1}


def record(row: str, number: int, **values: float) -> report.Record:
    return {"scenario": "small-16", "row": row, "round": number, "values": values}


def test_a_ratio_is_made_within_a_round() -> None:
    goal = report.Goal(1, "", "small-16", "rps", "ratio", "at least", 3, 6, "fastapi")
    slow, fast = [record("o2o", 0, rps=40), record("fastapi", 0, rps=10)], [record("o2o", 1, rps=400)]
    verdict = report.judge(goal, [*slow, *fast, record("fastapi", 1, rps=80)])
    assert (verdict.rounds, verdict.gate_met, verdict.aim_met) == ([4.0, 5.0], True, False)


def test_a_gate_is_missed_when_the_median_and_most_rounds_miss_it() -> None:
    goal = report.Goal(1, "", "small-16", "rps", "value", "at least", 3, 6)
    assert (
        report.judge(goal, [record("o2o", i, rps=rps) for i, rps in enumerate((2, 2, 9))]).gate_met is False
    )
    assert report.judge(goal, [record("o2o", i, rps=rps) for i, rps in enumerate((2, 4, 9))]).gate_met is True


def test_one_bad_answer_anywhere_is_counted() -> None:
    goal = report.Goal(20, "", "*", "failed", "total", "at most", 0, 0)
    records = [record("o2o", 0, failed=0), record("o2o", 1, failed=1), record("naive", 0, failed=7)]
    assert report.judge(goal, records).rounds == [1.0]


def test_every_goal_names_a_scenario_that_exists() -> None:
    known = {scenario.name for scenario in scenarios.SCENARIOS}
    fresh = {"start", "idle", "departure", "memory", "growth-embed", "growth-vision", "*"}
    goals = report.read_goals(build.HERE / "goals.json")
    assert {goal.scenario for goal in goals} <= known | fresh
    assert {goal.goal for goal in goals} == set(range(1, 21))


def test_no_row_gets_what_a_shell_says_to_python_or_to_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE", "O2O_STRICT", "WEB_CONCURRENCY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "1")
    given = rows.Row("any", "openai", "/").environment(1, 2, "k")
    assert given["PATH"] == os.environ["PATH"]
    assert {name for name in given if name.startswith(("PYTHON", "O2O_", "WEB_")) or "PROXY" in name} == set()
