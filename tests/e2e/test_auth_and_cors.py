"""Who may call: keys where some are configured, and web pages of which origins."""

from __future__ import annotations

import openai
import pytest

from tests.e2e.conftest import KEY
from tests.e2e.wire import Answer, ask, chat
from tests.server import Server

PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": (
        "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
        "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
    ),
}


# --- without keys


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer sk-anything"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"api-key": "anything"},
        {"x-api-key": ""},
    ],
)
def test_without_configured_keys_any_or_none_is_accepted(server: Server, headers: dict[str, str]) -> None:
    assert chat(server, headers).status == 200


# --- with keys


def test_a_request_without_a_key_is_told_to_bring_one(keyed: Server) -> None:
    answer = chat(keyed)
    assert answer.status == 401
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].startswith("You didn't provide an API key.")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("wrong", [KEY[:-1], KEY + "x", KEY.upper(), "sk-something-entirely-different"])
def test_a_wrong_key_is_refused_and_never_shown(keyed: Server, wrong: str) -> None:
    answer = chat(keyed, {"Authorization": f"Bearer {wrong}"})
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert answer.error["message"].startswith(f"Incorrect API key provided: {wrong[:3]}***")
    assert wrong not in answer.raw.decode()
    assert wrong not in keyed.log


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"api-key": KEY},
        {"x-api-key": KEY},
        {"Authorization": "Bearer another-key"},
    ],
)
def test_a_right_key_opens_in_any_of_the_usual_headers(keyed: Server, headers: dict[str, str]) -> None:
    assert chat(keyed, headers).status == 200


def test_the_sdk_calls_with_its_key_and_raises_without(keyed: Server) -> None:
    with openai.OpenAI(base_url=f"{keyed.url}/v1", api_key=KEY, max_retries=0) as client:
        assert client.models.retrieve("practice").id == "practice:latest"
    with openai.OpenAI(base_url=f"{keyed.url}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
        assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("path", ["/", "/health", "/healthz", "/readyz"])
def test_whoever_watches_over_the_process_needs_no_key(keyed: Server, path: str) -> None:
    assert ask(keyed, "GET", path).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/models"),
        ("GET", "/v1"),
        ("GET", "/v1/nowhere"),
        ("PUT", "/v1/models"),
        ("POST", "/openai/deployments/practice/chat/completions"),
        ("POST", "/v1/embeddings"),
    ],
)
def test_everything_else_does(keyed: Server, method: str, path: str) -> None:
    assert ask(keyed, method, path).status == 401


# --- web pages


def preflight(server: Server, origin: str, path: str = "/v1/chat/completions") -> Answer:
    return ask(server, "OPTIONS", path, headers={**PREFLIGHT, "Origin": origin})


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "app://obsidian.md"])
def test_a_preflight_of_a_local_page_is_granted_all_the_headers_of_the_sdk(
    server: Server, origin: str
) -> None:
    answer = preflight(server, origin)
    assert (answer.status, answer.raw) == (204, b"")
    assert "content-type" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_page_may_read_the_answer_and_what_its_headers_tell(server: Server, stream: bool) -> None:
    answer = chat(server, {"Origin": "http://localhost:3000"}, stream=stream, store=True, num_ctx=4096)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert [name for name in exposed if name.startswith("x-")] == exposed
    assert {name for name in answer.headers if name.startswith("x-o2o")} | {"x-request-id"} <= set(exposed)
    assert "origin" in answer.headers["vary"].lower()


def test_a_page_may_read_errors_too(server: Server) -> None:
    answer = chat(server, {"Origin": "http://localhost:3000"}, model="gone")
    assert answer.status == 404
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_a_page_from_elsewhere_may_not_call_a_server_without_keys(server: Server) -> None:
    answer = chat(server, {"Origin": "https://evil.example"})
    assert (answer.status, answer.error["code"]) == (403, "origin_not_allowed")
    assert "O2O_CORS_ORIGINS" in answer.error["message"]
    assert "access-control-allow-origin" not in preflight(server, "https://evil.example").headers


def test_an_origin_that_the_operator_named_may_call(tuned: Server) -> None:
    origin = "https://chat.example.com"
    assert preflight(tuned, origin).headers["access-control-allow-origin"] == origin
    assert chat(tuned, {"Origin": origin}).headers["access-control-allow-origin"] == origin
    assert chat(tuned, {"Origin": "https://chat.example.org"}).status == 403


def test_a_name_that_was_pointed_here_by_somebody_else_is_refused(server: Server) -> None:
    answer = chat(server, {"Host": "rebound.example.com"})
    assert (answer.status, answer.error["code"]) == (403, "host_not_allowed")
    assert "O2O_ALLOWED_HOSTS" in answer.error["message"]


def test_with_keys_neither_origin_nor_name_matters(keyed: Server) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Origin": "https://any.example", "Host": "any.example"}
    assert chat(keyed, headers).status == 200


def test_a_preflight_needs_no_key(keyed: Server) -> None:
    answer = preflight(keyed, "http://localhost:3000")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "http://localhost:3000")
