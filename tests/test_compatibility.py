"""docs/compatibility.md says what the program does: its tables against schemas, routes, errors, and most rows tried."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from o2o import errors
from o2o.app import PREFIXES, create_app
from o2o.blueprints import elsewhere
from o2o.config import Settings
from o2o.schemas import known_parameters
from o2o.translate.ollama_options import GONE, OPTIONS
from tests.clean import REPOSITORY
from tests.ollama import FakeOllama

PAGE = (REPOSITORY / "docs" / "compatibility.md").read_text("utf-8")
PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
}
HONOURED, EMULATED, REFUSED = "honoured", "emulated", "refused"
SILENT, UNKNOWN = "accepted without effect", "unknown, ignored"

WITHOUT_SCHEMA = {"ttl", "use_beam_search"}
"""Parameters that are understood though no schema has them."""

Row = list[str]


# --- reading the page


def rows(heading: str) -> list[Row]:
    """Return the rows of all tables between a heading and the next, without their heads."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, heading
    found: list[Row] = []
    for table in re.findall(r"(?:^\|.*\n)+", match[1], re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        found += lines[2:]
    assert found, heading
    return found


def quoted(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


@dataclass(frozen=True)
class Promise:
    """What a row says of one parameter."""

    name: str
    status: str
    text: str


def promises(heading: str) -> Iterator[Promise]:
    for names, status, text in rows(heading):
        for name in quoted(names):
            yield Promise(name, status, text)


PARAMETERS = {endpoint: list(promises(f"Parameters of {endpoint}")) for endpoint in PATHS}


# --- parameters: is everything there, and nothing else


@pytest.mark.parametrize("endpoint", PATHS)
def test_every_parameter_of_a_schema_has_a_row(endpoint: str) -> None:
    assert known_parameters(endpoint) - {promise.name for promise in PARAMETERS[endpoint]} == set()


@pytest.mark.parametrize("endpoint", PATHS)
def test_every_row_is_a_parameter_of_the_schema_or_says_that_it_is_none(endpoint: str) -> None:
    understood = {promise.name for promise in PARAMETERS[endpoint] if promise.status != UNKNOWN}
    unknown = {promise.name for promise in PARAMETERS[endpoint] if promise.status == UNKNOWN}
    assert understood - known_parameters(endpoint) - WITHOUT_SCHEMA == set()
    assert unknown & known_parameters(endpoint) == set()


@pytest.mark.parametrize(
    "heading", [*(f"Parameters of {endpoint}" for endpoint in PATHS), "Messages", "Parts", "Options"]
)
def test_each_name_has_one_row_and_one_of_five_fates(heading: str) -> None:
    said = list(promises(heading))
    names = [promise.name for promise in said]
    assert sorted(names) == sorted(set(names))
    assert {promise.status for promise in said} <= {HONOURED, EMULATED, SILENT, REFUSED, UNKNOWN}


def definition(name: str) -> dict[str, Any]:
    """Return the properties of one of the definitions of chat's schema."""
    schema = json.loads((REPOSITORY / "o2o" / "schemas" / "chat.json").read_text("utf-8"))
    properties: dict[str, Any] = schema["definitions"][name]["properties"]
    return properties


def test_the_fields_of_messages_are_those_of_the_schema() -> None:
    assert {promise.name for promise in promises("Messages")} == definition("message").keys()


def test_the_types_of_parts_are_those_of_the_schema() -> None:
    assert {promise.name for promise in promises("Parts")} == set(definition("part")["type"]["enum"])


def test_the_options_are_those_that_ollama_has_or_had() -> None:
    said = list(promises("Options"))
    assert {promise.name for promise in said if promise.status == HONOURED} == set(OPTIONS)
    assert {promise.name for promise in said if promise.status == SILENT} == set(GONE)


def test_the_fields_of_a_model_are_those_of_an_answer(client: FlaskClient) -> None:
    [model, *_] = client.get("/v1/models").get_json()["data"]
    assert list(model) == [quoted(row[0])[0] for row in rows("Models")]


# --- parameters: do they do what their row says


USER = [{"role": "user", "content": "say: hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MINIMAL: dict[str, dict[str, Any]] = {
    "chat": {"model": "practice", "messages": USER},
    "completions": {"model": "practice", "prompt": "hi"},
    "embeddings": {"model": "practice-embed", "input": "hi"},
}

SAMPLES: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "best_of": 2,
    "chat_template_kwargs": {"enable_thinking": False},
    "dimensions": 16,
    "echo": True,
    "enable_thinking": False,
    "encoding_format": "base64",
    "format": "json",
    "function_call": {"name": "look"},
    "functions": [TOOL["function"]],
    "grammar": 'root ::= "a"',
    "guided_choice": ["yes", "no"],
    "guided_grammar": 'root ::= "a"',
    "guided_json": SCHEMA,
    "guided_regex": "[a-z]{3}",
    "include_reasoning": False,
    "input": "say: ho",
    "json_schema": SCHEMA,
    "keep_alive": "10m",
    "logit_bias": {"1": 5},
    "logprobs": True,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "model": "practice-think",
    "moderation": {"model": "omni-moderation-latest"},
    "n": 2,
    "num_ctx": 8192,
    "options": {"num_ctx": 8192},
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "hi"},
    "prompt": "other",
    "prompt_cache_key": "a",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "raw": True,
    "reasoning": {"effort": "none"},
    "reasoning_effort": "none",
    "response_format": {"type": "json_object"},
    "safety_identifier": "a",
    "service_tier": "flex",
    "stop": "h",
    "stream_options": {"include_usage": True},
    "structured_outputs": {"json": SCHEMA},
    "suffix": "end",
    "think": False,
    "thinking": {"type": "disabled"},
    "tool_choice": "required",
    "tools": [TOOL],
    "top_logprobs": 2,
    "user": "a",
    "verbosity": "low",
    "web_search_options": {},
}
"""A value for each parameter that 1 or true will not do for."""

FLAGS = {"timings", "truncate", "use_mmap", "store", "stream", "template", "use_beam_search"} | {
    "prefix",
    "continue_final_message",
    "add_generation_prompt",
}
NEEDS: dict[tuple[str, str], dict[str, Any]] = {
    ("chat", "continue_final_message"): {"messages": [*USER, {"role": "assistant", "content": "h"}]},
    ("chat", "function_call"): {"functions": [TOOL["function"]]},
    ("chat", "include_reasoning"): {"model": "practice-think"},
    ("chat", "parallel_tool_calls"): {
        "tools": [TOOL],
        "messages": [{"role": "user", "content": "call look"}],
    },
    ("chat", "stream_options"): {"stream": True},
    ("chat", "tool_choice"): {"tools": [TOOL]},
    ("chat", "top_logprobs"): {"logprobs": True},
    ("completions", "stream_options"): {"stream": True},
    ("completions", "raw"): {"raw": None},
}
"""What a parameter needs beside it before it can do anything."""
OTHERWISE: dict[tuple[str, str], Any] = {
    ("completions", "logprobs"): 2,
    ("completions", "raw"): False,
    ("completions", "reasoning_effort"): "high",
    ("completions", "think"): True,
    ("embeddings", "input"): "other",
    ("embeddings", "model"): "practice",
    ("embeddings", "think"): True,
}
"""Values that differ between endpoints."""

CANNOT_SHOW = {("chat", "messages"), ("embeddings", "model"), ("chat", "parallel_tool_calls")}
"""Rows that have no effect of their own to be seen here; their tests are in tests/e2e."""


@dataclass
class Outcome:
    """What came back, and what Ollama had been sent for it."""

    status: int
    ignored: list[str]
    asked: list[Any]
    answer: str


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def client(ollama: FakeOllama) -> FlaskClient:
    """Return a client of an app of its own: what a request did to a window, the app would remember."""
    app = create_app(replace(Settings(), ollama_api_base_url=ollama.url))
    return app.test_client()


def ask(client: FlaskClient, ollama: FakeOllama, endpoint: str, body: dict[str, Any]) -> Outcome:
    before = len(ollama.requests)
    response = client.post(PATHS[endpoint], json=body)
    told = response.headers.get("x-o2o-ignored", "")
    generations = ("/api/chat", "/api/generate", "/api/embed")
    return Outcome(
        response.status_code,
        told.split(", ") if told else [],
        [request.body for request in ollama.requests[before:] if request.path in generations],
        re.sub(
            r'(cmpl-|"created":|"(?:\w+_ms|\w+_per_\w+)":)\w+(\.\w+)?', "", response.get_data(as_text=True)
        ),
    )


def sample(endpoint: str, name: str) -> dict[str, Any]:
    """Return the part of a body that gives a parameter a value that matters."""
    value = OTHERWISE.get((endpoint, name), SAMPLES.get(name, name in FLAGS or 1))
    if name == "input" and endpoint == "chat":
        return {"input": value, "messages": None}
    return {name: value}


EVERY = [
    pytest.param(endpoint, promise, id=f"{endpoint}-{promise.name}")
    for endpoint, said in PARAMETERS.items()
    for promise in said
]


@pytest.mark.parametrize(("endpoint", "promise"), EVERY)
def test_a_parameter_does_what_its_row_says(
    client: FlaskClient, ollama: FakeOllama, endpoint: str, promise: Promise
) -> None:
    without = {**MINIMAL[endpoint], **NEEDS.get((endpoint, promise.name), {})}
    plain = ask(client, ollama, endpoint, without)
    assert plain.status == 200
    told = ask(client, ollama, endpoint, {**without, **sample(endpoint, promise.name)})
    if promise.status == REFUSED:
        assert told.status == 400
        assert promise.name in told.answer
        assert told.asked == []
        return
    assert told.status == 200 or (endpoint, promise.name) in CANNOT_SHOW, told.answer
    changed = (told.asked, told.answer) != (plain.asked, plain.answer)
    if promise.status in (SILENT, UNKNOWN):
        assert told.asked == plain.asked
        assert (promise.name in told.ignored) == (promise.status == UNKNOWN or "listed" in promise.text)
    else:
        assert changed or (endpoint, promise.name) in CANNOT_SHOW
        assert promise.name not in told.ignored


@pytest.mark.parametrize("promise", list(promises("Options")), ids=lambda promise: promise.name)
def test_an_option_does_what_its_row_says(client: FlaskClient, ollama: FakeOllama, promise: Promise) -> None:
    switches = {"use_mmap", "penalize_newline", "low_vram", "f16_kv", "use_mlock", "numa"}
    value: Any = True if promise.name in switches else ["h"] if promise.name == "stop" else 1
    told = ask(client, ollama, "chat", {**MINIMAL["chat"], "options": {promise.name: value}})
    sent = told.asked[0].get("options", {})
    assert (promise.name in sent) == (promise.status == HONOURED)
    assert (f"options.{promise.name}" in told.ignored) == (promise.status == SILENT)


PART_SAMPLES: dict[str, Any] = {
    "text": {"text": "hi"},
    "image_url": {"image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
    "input_audio": {"input_audio": {"data": "SUQzBAAAAAAAAA==", "format": "mp3"}},
    "file": {"file": {"file_data": "aGk=", "filename": "a.txt"}},
    "refusal": {"refusal": "no"},
    "input_text": {"text": "hi"},
}


@pytest.mark.parametrize("promise", list(promises("Parts")), ids=lambda promise: promise.name)
def test_a_part_does_what_its_row_says(client: FlaskClient, ollama: FakeOllama, promise: Promise) -> None:
    said = [{"role": "user", "content": [{"type": promise.name, **PART_SAMPLES[promise.name]}]}]
    told = ask(client, ollama, "chat", {"model": "practice-vision", "messages": said})
    if promise.name == "input_audio":  # no practice model hears
        assert "unsupported_content" in told.answer
    elif promise.status == REFUSED:
        assert told.status == 400
        assert told.asked == []
    else:
        assert told.status == 200, told.answer
        [message] = told.asked[0]["messages"]
        assert message["content"] or message["images"]


@pytest.mark.parametrize("row", rows("Bodies of the Responses API"), ids=lambda row: row[0])
def test_a_field_of_the_responses_api_does_what_its_row_says(
    client: FlaskClient, ollama: FakeOllama, row: Row
) -> None:
    samples = {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "say: ho"}]}, {"type": "odd"}],
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "look", "parameters": {}}, {"type": "web_search"}],
        "tool_choice": "none",
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        "max_output_tokens": 3,
        "reasoning": {"effort": "none"},
        "truncation": "auto",
        "include": ["reasoning.encrypted_content"],
    }
    [name] = quoted(row[0])
    without: dict[str, Any] = {"model": "practice", "input": "say: hi"}
    if name == "tool_choice":
        without["tools"] = samples["tools"]
    plain = ask(client, ollama, "chat", without)
    told = ask(client, ollama, "chat", {**without, name: samples[name]})
    assert (plain.status, told.status) == (200, 200)
    assert (told.asked != plain.asked) == (name != "include")
    listed = {"input": "input.1", "tools": "tools.1", "include": "include"}
    if name in listed:
        assert listed[name] in told.ignored


# --- endpoints


def served() -> set[tuple[str, str]]:
    """Return methods and paths of the app, each under the first of its prefixes."""
    found = set()
    for rule in create_app(Settings()).url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        prefix = max(
            (p.replace("<path:deployment>", "{deployment}") for p in PREFIXES),
            key=lambda p: len(p) if path.startswith(f"{p}/") else -1,
        )
        own = path == "/" or "/" not in path[1:]
        under = path if own and f"/v1{path}" not in api_paths() else "/v1" + path.removeprefix(prefix)
        found |= {(method, under) for method in rule.methods or () if method not in ("HEAD", "OPTIONS")}
    return found


def api_paths() -> set[str]:
    return {quoted(row[1])[0] for row in rows("Endpoints") if quoted(row[1])[0].startswith("/v1/")}


def test_the_endpoints_are_those_that_are_served() -> None:
    assert served() == {(row[0], quoted(row[1])[0]) for row in rows("Endpoints")}


def test_every_prefix_is_named() -> None:
    for prefix in filter(None, PREFIXES):
        assert f"`{prefix.replace('<path:deployment>', '{deployment}')}`" in PAGE


@pytest.mark.parametrize("behind", ["", "/messages"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_completions_are_not_kept(client: FlaskClient, method: str, behind: str) -> None:
    response = client.open(f"{PATHS['chat']}/chatcmpl-1{behind}", method=method)
    assert (response.status_code, response.headers["x-should-retry"]) == (404, "false")
    assert response.get_json()["error"]["code"] == "unsupported_endpoint"
    assert f"`/v1/chat/completions/{{id}}{behind}`" in PAGE
    assert client.get(PATHS["chat"]).status_code == 405


def test_every_header_of_o2os_own_may_be_read_by_pages(client: FlaskClient) -> None:
    exposed = client.get("/v1", headers={"Origin": "http://localhost"}).headers[
        "Access-Control-Expose-Headers"
    ]
    told = {name for row in rows("Response headers") for name in quoted(row[0]) if name.startswith("x-o2o")}
    assert set(exposed.split(", ")) == told | {"X-Request-ID"}


def test_what_is_not_there_answers_so(client: FlaskClient) -> None:
    missing = [path for row in rows("What is not there") for path in quoted(row[0])]
    for path in missing:
        for method in ("GET", "POST"):
            for behind in ("", "/x"):
                response = client.open(path + behind, method=method)
                assert response.get_json()["error"]["code"] == "unsupported_endpoint", path
                assert (response.status_code, response.headers["x-should-retry"]) == (404, "false")
    families = {path.removeprefix("/v1/") for path in missing}
    assert families == {*elsewhere._FAMILIES, "messages"}


# --- headers, warnings, errors


def program() -> Iterator[tuple[str, ast.Module]]:
    """Return the modules that serve, parsed; not the practice upstream."""
    for path in sorted((REPOSITORY / "o2o").rglob("*.py")):
        if "practice" not in path.parts:
            yield path.name, ast.parse(path.read_text("utf-8"))


def texts() -> set[str]:
    """Return every text that stands in the program."""
    return {
        node.value
        for _, module in program()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def calls() -> Iterator[ast.Call]:
    for _, module in program():
        yield from (node for node in ast.walk(module) if isinstance(node, ast.Call))


def test_every_warning_of_the_program_is_explained_and_no_other() -> None:
    words = {
        call.args[0].value
        for call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "append"
        and isinstance(call.func.value, ast.Attribute)
        and call.func.value.attr in ("warnings", "_notes", "notes")
        and isinstance(call.args[0], ast.Constant)
    }
    assert "response_format" in words
    assert words == {quoted(row[0])[0] for row in rows("Warnings")}


def test_every_header_of_the_program_is_explained() -> None:
    own = {
        text.lower()
        for text in texts()
        if re.fullmatch(r"(?i)(x-o2o|openai|x-request|x-should)-[a-z-]+", text)
    }
    told = {name.lower() for row in rows("Response headers") for name in quoted(row[0])}
    assert own
    assert own - told == set()


def test_headers_that_always_come_come(client: FlaskClient) -> None:
    always = [quoted(row[0])[0] for row in rows("Response headers") if row[1] == "always"]
    for response in (
        client.get("/v1/models"),
        client.get("/nowhere"),
        client.post(PATHS["chat"], json={**MINIMAL["chat"], "stream": True}),
    ):
        assert [name for name in always if name not in response.headers] == []
    assert client.get("/v1").headers["openai-version"] in PAGE


def documented() -> dict[str, set[int]]:
    """Return the statuses under which the page has each code."""
    found: dict[str, set[int]] = {}
    for statuses, codes, _ in rows("Errors"):
        for code in quoted(codes) or [codes]:
            found.setdefault(code, set()).update(int(status) for status in statuses.split(", "))
    return found


def classes() -> list[type[errors.O2OError]]:
    own = {errors.O2OError, errors.CallerError, errors.ServerError, errors.CallerGone, errors.Refused}
    found = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    return [kind for kind in found if issubclass(kind, errors.O2OError) and kind not in own]


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_table_under_its_status(kind: type[errors.O2OError]) -> None:
    assert kind.status in documented()[kind.default_code or "null"]


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_errors_that_forbid_a_retry_are_those_of_which_the_page_says_so(kind: type[errors.O2OError]) -> None:
    said = any(kind.default_code in quoted(row[1]) and "no retry" in row[2] for row in rows("Errors"))
    assert said == (kind.retry is False and kind.default_code != "unsupported_endpoint")


CODE_AT = {"_bad": 1, "_refusal": 1, "_wrong_size": 1, "_invalid": 2}
"""Which argument of these functions is a code, where they are given one."""


def codes() -> set[str]:
    """Return every code that an error of the program is given."""
    found: set[Any] = {kind.default_code for kind in classes()} - {None}
    for call in calls():
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        given = [word.value for word in call.keywords if word.arg == "code"]
        given += call.args[CODE_AT[name] : CODE_AT[name] + 1] if name in CODE_AT else []
        found |= {value.value for value in given if isinstance(value, ast.Constant) and value.value}
        if name == "_out_of_range" and isinstance(call.args[2], ast.Constant):
            found |= {f"{kind}_{call.args[2].value!s}" for kind in ("integer", "decimal")}
    return found


def test_every_code_is_in_the_table() -> None:
    assert len(codes()) > 40
    assert codes() - documented().keys() == set()


def test_every_code_in_the_table_is_one_of_the_program() -> None:
    assert documented().keys() - {"null"} - codes() - texts() == set()
