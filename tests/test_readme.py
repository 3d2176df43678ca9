"""The README, in both languages: the same in structure, true in what it names, and working as printed."""

from __future__ import annotations

import ast
import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import o2o
from o2o.config import describe
from tests.clean import REPOSITORY
from tests.e2e.wire import ask, chat, last, line
from tests.ollama import FakeOllama, stream
from tests.replay import FOLDER as RECORDINGS
from tests.server import Server

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
BOTH = [ENGLISH, CHINESE]


def text(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def blocks(name: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text(name), re.MULTILINE | re.DOTALL)


def prose(name: str) -> str:
    """Return everything but the blocks of code."""
    return re.sub(r"^```.*?^```$", "", text(name), flags=re.MULTILINE | re.DOTALL)


def tables(name: str) -> list[list[list[str]]]:
    """Return the cells of each table, its head and the line below included."""
    found = re.findall(r"(?:^\|.*\n)+", prose(name), re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
        for table in found
    ]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- the two are in step


def headings(name: str) -> list[str]:
    return re.findall(r"^(#+) ", prose(name), re.MULTILINE)


def test_both_have_the_same_headings() -> None:
    assert headings(ENGLISH) == headings(CHINESE)


def test_both_have_the_same_code_but_for_its_comments() -> None:
    def bare(name: str) -> list[tuple[str, str]]:
        return [(language, re.sub(r" *# .*", "", block)) for language, block in blocks(name)]

    assert bare(ENGLISH) == bare(CHINESE)


def test_both_have_the_same_tables() -> None:
    ours, theirs = tables(ENGLISH), tables(CHINESE)
    assert [[len(row) for row in table] for table in ours] == [
        [len(row) for row in table] for table in theirs
    ]
    assert [[[code(cell) for cell in row] for row in table] for table in ours] == [
        [[code(cell) for cell in row] for row in table] for table in theirs
    ]


def test_both_have_the_same_links() -> None:
    other = {f"]({CHINESE})": "](other)", f"]({ENGLISH})": "](other)"}

    def targets(name: str) -> list[str]:
        return [other.get(found, found) for found in re.findall(r"\]\([^)]+\)", prose(name))]

    assert sorted(targets(ENGLISH)) == sorted(targets(CHINESE))


# --- what they name exists


@pytest.mark.parametrize("name", BOTH)
def test_every_setting_that_is_named_exists(name: str) -> None:
    known = {entry.name for entry in describe()}
    named = set(re.findall(r"\b(?:O2O|OLLAMA)_[A-Z_]+\b|\bWEB_CONCURRENCY\b", text(name)))
    named |= {word for row in tables(name)[1] for word in code(row[0])}
    assert {"PORT", "O2O_NUM_CTX"} <= named
    assert named <= known


@pytest.mark.parametrize("name", BOTH)
def test_the_defaults_of_settings_are_right(name: str) -> None:
    defaults = {entry.name: entry.default for entry in describe()}
    for names, default, _ in tables(name)[1][2:]:
        shown = code(default) or re.findall(r"\d+", default) or [""]
        assert [defaults[setting] for setting in code(names)] == shown


LINKED = [
    *BOTH,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in (REPOSITORY / "docs").glob("*.md")),
]


@pytest.mark.parametrize("name", LINKED)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text(name)):
        if "://" not in target:
            assert ((REPOSITORY / name).parent / target).exists(), target


@pytest.mark.parametrize("name", LINKED)
def test_every_link_to_a_heading_finds_it(name: str) -> None:
    anchors = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text(name), re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text(name))) <= anchors


@pytest.mark.parametrize("name", BOTH)
def test_every_make_target_exists(name: str) -> None:
    makefile = text("Makefile")
    for target in re.findall(r"\bmake ([a-z-]+)", text(name)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# --- the map of the house


def modules(folder: str) -> set[str]:
    """Return the names of the modules and packages right inside a folder."""
    inside = (REPOSITORY / folder).iterdir()
    return {path.stem for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()} - {
        "__init__"
    }


def test_the_map_in_the_package_has_every_module() -> None:
    said = set(re.findall(r"\w+", o2o.__doc__ or ""))
    assert modules("o2o") - said - {"__main__"} == set()


@pytest.mark.parametrize("folder", ["o2o", "o2o/translate", "o2o/upstream"])
def test_the_map_in_the_design_has_every_module(folder: str) -> None:
    table = text("docs/design.md").partition("## Modules in reading order")[2].partition("\n## ")[0]
    said = {part for row in table.splitlines() for name in code(row) for part in name.split(".")}
    assert modules(folder) - said - {"__main__"} == set()


def test_the_map_in_the_design_has_no_module_that_is_gone() -> None:
    table = text("docs/design.md").partition("| module |")[2].partition("\n## ")[0]
    said = {name for row in table.splitlines() for name in code(row.split("|")[1] if "|" in row else "")}
    there = modules("o2o") | modules("o2o/translate") | modules("o2o/upstream")
    assert {name.rpartition(".")[2] for name in said} - there == set()


def test_the_log_fields_in_the_design_are_those_that_are_written() -> None:
    table = text("docs/design.md").partition("| field |")[2].partition("\n\n")[0]
    said = {name for row in table.splitlines() for name in code(row.split("|")[1] if "|" in row else "")}
    written = {
        word.arg
        for path in ("o2o/ticket.py", "o2o/worker.py")
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "request_line"
        for word in node.keywords
    }
    assert said == written


# --- what they print works


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(ollama: FakeOllama) -> Iterator[Server]:
    with Server(ollama.url) as running:
        yield running


def test_the_python_snippet_runs(server: Server, ollama: FakeOllama, tmp_path: Path) -> None:
    [snippet] = [block for language, block in blocks(ENGLISH) if language == "python"]
    script = tmp_path / "snippet.py"
    script.write_text(snippet.replace("http://localhost:8000", server.url), "utf-8")
    ollama.script("/api/chat", stream(line("Hello"), line("!"), last()))
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "Hello!\n"), ran.stderr
    assert ollama.asked("/api/chat")[-1].body["model"] == "llama3.2"


def test_the_curl_line_is_answered(server: Server, ollama: FakeOllama) -> None:
    [command] = [block for _, block in blocks(ENGLISH) if "curl " in block]
    program, url, *rest = shlex.split(command.replace("\\\n", ""))
    assert program == "curl"
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    name, _, value = given["-H"].partition(": ")
    ollama.script("/api/chat", stream(line("Hello!"), last()))
    path = url.removeprefix("http://localhost:8000")
    answer = ask(server, "POST", path, given["-d"].encode(), {name: value})
    assert answer.body["choices"][0]["message"]["content"] == "Hello!"


def test_the_endpoints_that_are_named_are_there(server: Server) -> None:
    for row in tables(ENGLISH)[0][2:]:
        for word in code(row[0]):
            method, path = word.split()
            answer = ask(server, method, path.replace("{id}", "practice"), {} if method == "POST" else None)
            assert answer.status == (400 if method == "POST" else 200), word


# --- why not Ollama's own /v1: what shows it

WHY: dict[str, list[str]] = {
    "`max_completion_tokens`": [
        "v1/02-max-completion-tokens",
        "tests/e2e/test_chat.py::test_a_limit_of_tokens_limits_and_is_told",
    ],
    "`tool_choice`: required, by name, allowed tools": [
        "v1/08-tool-choice-required",
        "tests/e2e/test_tools.py::test_required_means_at_least_one_call_though_nothing_asks_for_it",
        "tests/e2e/test_tools.py::test_a_forced_call_has_the_arguments_that_its_schema_asks_for",
    ],
    "`n`, `best_of`": [
        "v1/02-n",
        "tests/e2e/test_chat.py::test_three_choices_are_three_answers_to_one_prompt",
        "tests/e2e/test_completions.py::test_the_best_of_several_is_given",
    ],
    "`num_ctx` and other options in the request": [
        "tests/e2e/test_chat.py::test_what_only_ollama_knows_is_honoured_at_the_top_and_in_options",
    ],
    "a prompt that is too long": [
        "13-overflow/gemma3-one-message-default",
        "13-overflow/gemma3-one-message-truncate-false",
        "tests/e2e/test_bad_input.py::test_a_prompt_that_does_not_fit_is_refused_in_the_words_that_clients_look_for",
    ],
    "a failure in the middle of a stream": [
        "v1/16-kill-stream",
        "tests/e2e/test_chat_stream.py::test_what_fails_after_the_first_word_is_the_last_event",
        "tests/e2e/test_chat_stream.py::test_the_sdk_raises_from_the_middle_of_a_stream_with_the_code",
    ],
    "a Modelfile's temperature": ["tests/e2e/test_chat.py::test_what_nobody_asked_for_is_not_sent"],
    "a Modelfile's stop strings, when the request has its own": [
        "02-length-stop/echo-stop-replaces",
        "tests/translate/test_options.py::test_stop_strings_are_added_to_the_models_own",
    ],
    "`response_format`": [
        "09-format/think-no-thinking-first",
        "tests/translate/test_format.py::test_an_answer_is_held_against_its_form",
    ],
    "a caller who hangs up before the first token": [
        "tests/test_readme.py::test_a_caller_who_hangs_up_before_the_first_token_is_noticed",
    ],
    "keys, a limit on requests at a time": [
        "tests/e2e/test_auth_and_cors.py::test_a_request_without_a_key_is_told_to_bring_one",
        "tests/test_admission.py::test_a_refusal_is_a_503_that_may_be_tried_again",
    ],
    "the log line of a request": ["tests/test_readme.py::test_the_log_line_has_what_the_table_says"],
}
"""For each row of the last table, the recordings of a real Ollama and the tests that show it.

What has no recording stands in Ollama's source: `openai/openai.go` sets temperature and top_p to 1.0 where they
are missing, and its request has no fields for options.
"""


def test_every_row_has_its_evidence() -> None:
    assert [row[0] for row in tables(ENGLISH)[2][2:]] == list(WHY)


@pytest.mark.parametrize("evidence", [one for shown in WHY.values() for one in shown])
def test_the_evidence_exists(evidence: str) -> None:
    path, _, test = evidence.partition("::")
    if not test:
        assert (RECORDINGS / f"{path}.json").is_file()
        return
    module = ast.parse((REPOSITORY / path).read_text("utf-8"))
    assert test in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}


def test_a_caller_who_hangs_up_before_the_first_token_is_noticed(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(30.0, line("too late"), last()))
    asked = len(ollama.asked("/api/chat"))
    left = sum(connection.left is not None for connection in ollama.connections)
    body = json.dumps({"model": "practice", "messages": [{"role": "user", "content": "hi"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
        caller.sendall(head.encode() + body)
        ollama.await_requests(asked + 1, "/api/chat")
    ollama.await_leavers(left + 1)


def test_the_log_line_has_what_the_table_says(server: Server) -> None:
    assert chat(server).status == 200
    assert chat(server, model="nobody-has-this").status == 404
    log = server.await_log(lambda so_far: "model=nobody-has-this" in so_far, "the line")
    good, bad = (
        dict(re.findall(r"(\w+)=(\S+)", entry))
        for model in ("model=practice ", "model=nobody-has-this ")
        for entry in [entry for entry in log.splitlines() if model in entry][-1:]
    )
    assert {"id", "method", "path", "status", "seconds", "model", "prompt_tokens"} <= good.keys()
    assert bad["error"] == "model_not_found"
