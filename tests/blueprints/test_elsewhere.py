"""Paths that are not here."""

from __future__ import annotations

import pytest

from tests.blueprints.calling import check_envelope, scripted


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses"),
        ("POST", "/v1/images/generations"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/file-1/content"),
        ("POST", "/audio/speech"),
        ("POST", "/openai/v1/moderations"),
        ("POST", "/openai/deployments/gpt-4o/images/generations"),
        ("DELETE", "/api/v1/vector_stores/x"),
        ("GET", "/v1/chat/completions/chatcmpl-1"),
        ("POST", "/openai/v1/chat/completions/chatcmpl-1"),
        ("DELETE", "/chat/completions/chatcmpl-1"),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages"),
        ("GET", "/openai/deployments/m/chat/completions/chatcmpl-1/messages"),
    ],
)
def test_an_endpoint_of_openais_that_is_not_here_is_told_as_such(method: str, path: str) -> None:
    response = scripted().call(method, path)
    assert response.status_code == 404
    assert response.headers["x-should-retry"] == "false"
    error = check_envelope(response.get_json())
    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported_endpoint")
    assert path in error["message"]


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/v1/messages/count_tokens"])
def test_anthropics_api_is_pointed_to_where_ollama_has_it(path: str) -> None:
    error = check_envelope(scripted().call("POST", path).get_json())
    assert error["code"] == "unsupported_endpoint"
    assert "Anthropic" in error["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/chat/completions/input_tokens"])
def test_what_is_there_is_only_asked_in_the_wrong_way(path: str) -> None:
    response = scripted().call("GET", path)
    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize("path", ["/v2/chat/completions", "/nothing", "/v1/chat", "/v1/chat/completions/x/y"])
def test_anything_else_leads_nowhere(path: str) -> None:
    response = scripted().call("GET", path)
    assert response.status_code == 404
    error = check_envelope(response.get_json())
    assert error["message"] == f"Invalid URL (GET {path})"
    assert error["code"] is None
    assert "x-should-retry" not in response.headers


def test_what_a_caller_wrote_is_cut_before_it_is_said_again() -> None:
    error = check_envelope(scripted().call("GET", "/" + "x" * 5000).get_json())
    assert len(error["message"]) < 300
