"""OpenAI's client for Node, where Node and npm's registry are at hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import wire
from tests.e2e.wire import line
from tests.ollama import FakeOllama, stream
from tests.server import Server

PACKAGE = "openai@6"
SCRIPT = Path(__file__).with_name("node_client.mjs")

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm"
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package; npm keeps a copy of its own, so that only the first time needs the network."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}")
    install = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--prefer-offline",
        "--ignore-scripts",
    ]
    try:
        done = subprocess.run([*install, PACKAGE], cwd=folder, capture_output=True, text=True, timeout=25)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if done.returncode:
        pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return folder


def run(package: Path, server: Server, *arguments: str) -> dict[str, Any]:
    """Run the client; return what it saw."""
    shutil.copy(SCRIPT, package)
    environ = {"PATH": os.environ["PATH"], "BASE_URL": f"{server.url}/v1"}
    command = ["node", SCRIPT.name, *arguments]
    done = subprocess.run(command, cwd=package, env=environ, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def found(package: Path, server: Server) -> dict[str, Any]:
    """What the client saw of everything that goes well, and of what is refused."""
    return run(package, server)


def test_a_whole_answer_is_an_object_with_its_request_id(found: dict[str, Any]) -> None:
    assert found["whole"]["choices"][0]["message"]["content"] == "hello"
    assert re.fullmatch(r"req_[0-9a-f]{32}", found["requestId"])


def test_the_chunks_join_to_the_answer(found: dict[str, Any]) -> None:
    assert (
        "".join(delta.get("content") or "" for delta in wire.deltas(found["chunks"])) == "1 2 3 4 5 6 7 8 9"
    )


def test_what_stream_accumulates_is_what_was_sent(found: dict[str, Any]) -> None:
    (choice,) = found["accumulated"]["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "".join(found["deltas"]) == "1 2 3 4 5 6 7 8 9"
    assert choice["finish_reason"] == "stop"
    assert (
        found["usage"]["total_tokens"]
        == found["usage"]["prompt_tokens"] + found["usage"]["completion_tokens"]
    )
    assert found["usage"]["total_tokens"] > 0


def test_a_call_is_accumulated_from_its_fragments(found: dict[str, Any]) -> None:
    (choice,) = found["called"]["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Berlin"}
    assert call["id"].startswith("call_")
    assert choice["finish_reason"] == "tool_calls"


def test_its_runner_of_tools_goes_round_with_our_own_messages(found: dict[str, Any]) -> None:
    assert found["heard"] == ["Berlin"]
    assert "18 degrees" in found["ran"]


def test_embeddings_by_default_are_whole_vectors(found: dict[str, Any]) -> None:
    assert [len(vector) for vector in found["vectors"]] == [384, 384]
    assert all(abs(sum(number * number for number in vector) - 1) < 1e-4 for vector in found["vectors"])


def test_the_list_of_models_ends(found: dict[str, Any]) -> None:
    assert "practice:latest" in found["models"]
    assert len(set(found["models"])) == len(found["models"])


def test_refusals_carry_code_and_param(found: dict[str, Any]) -> None:
    unknown, refused = found["unknown"], found["refused"]
    assert (unknown["kind"], unknown["status"], unknown["code"]) == ("NotFoundError", 404, "model_not_found")
    assert (refused["kind"], refused["code"]) == ("BadRequestError", "decimal_above_max_value")
    assert refused["param"] == "temperature"
    assert refused["requestID"].startswith("req_")
    assert unknown["message"].startswith("404 The model `gone`")


def test_a_stream_that_breaks_raises_with_its_code(package: Path, server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(line("half an "), line("answer"), {"error": "it broke"}))
    seen = run(package, server, "broken")
    assert seen["said"] == "half an answer"
    assert seen["error"]["code"] == "upstream_error"
