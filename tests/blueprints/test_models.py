"""`/v1/models`."""

from __future__ import annotations

import pytest

from o2o.errors import Refused, UpstreamUnavailable
from o2o.upstream.ndjson import Reply
from tests.blueprints.calling import app, check_envelope, scripted
from tests.fakes import ScriptedUpstream

SHOWS = {
    "qwen3:8b": {
        "capabilities": ["completion", "tools"],
        "model_info": {"general.architecture": "q", "q.context_length": 40960},
        "details": {"family": "qwen3"},
    },
    "hf.co/org/m:latest": {},
}


def test_the_list_has_every_model_with_what_is_known_of_it() -> None:
    body = scripted(shows=SHOWS).call("GET", "/v1/models").get_json()
    assert body["object"] == "list"
    models = {model["id"]: model for model in body["data"]}
    assert set(models) == set(SHOWS)
    assert models["qwen3:8b"]["context_length"] == 40960
    assert sorted(models["qwen3:8b"]["capabilities"]) == ["completion", "tools"]
    for model in models.values():
        assert model["object"] == "model"
        assert isinstance(model["created"], int)
        assert model["owned_by"]


def test_an_alias_stands_in_the_list_where_its_target_exists() -> None:
    served = scripted(shows=SHOWS, model_aliases="gpt-4o=qwen3:8b,gone=nothing")
    ids = [model["id"] for model in served.call("GET", "/v1/models").get_json()["data"]]
    assert "gpt-4o" in ids
    assert "gone" not in ids


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("qwen3:8b", "qwen3:8b"),
        ("hf.co/org/m", "hf.co/org/m:latest"),
        ("hf.co%2Forg%2Fm:latest", "hf.co/org/m:latest"),
    ],
)
def test_a_model_is_found_by_its_name(path: str, found: str) -> None:
    response = scripted(shows=SHOWS).call("GET", f"/v1/models/{path}")
    assert response.get_json()["id"] == found


def test_a_model_that_is_not_there_is_named() -> None:
    response = scripted(shows=SHOWS).call("GET", "/v1/models/qwen3:4b")
    error = check_envelope(response.get_json())
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "`qwen3:4b`" in error["message"]


def test_models_are_deleted_elsewhere() -> None:
    response = scripted(shows=SHOWS).call("DELETE", "/v1/models/qwen3:8b")
    assert response.status_code == 403
    assert "ollama rm" in check_envelope(response.get_json())["message"]


def test_the_list_says_when_ollama_is_not_there() -> None:
    class Gone(ScriptedUpstream):
        def tags(self) -> Reply:
            raise UpstreamUnavailable

    response = app(Gone()).call("GET", "/v1/models")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert check_envelope(response.get_json())["code"] == "upstream_unavailable"


def test_the_list_is_right_without_facts_and_without_what_is_loaded() -> None:
    class Vague(ScriptedUpstream):
        def show(self, model: str) -> Reply:
            raise Refused(500, "no")

        def ps(self) -> Reply:
            raise UpstreamUnavailable

    body = app(Vague(shows=SHOWS)).call("GET", "/v1/models").get_json()
    assert {model["id"] for model in body["data"]} == set(SHOWS)
    assert {model["context_length"] for model in body["data"]} == {None}
