"""What orchestrators, proxies and curious clients ask."""

from __future__ import annotations

import pytest

from o2o.errors import UpstreamUnavailable
from o2o.upstream.ndjson import Reply
from tests.blueprints.calling import app, check_envelope, scripted
from tests.fakes import ScriptedUpstream


class Gone(ScriptedUpstream):
    """An Ollama that is not there."""

    def version(self) -> Reply:
        raise UpstreamUnavailable


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/health", "/healthz", "/health/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_living_process_says_so_without_asking_ollama(method: str, path: str) -> None:
    response = app(Gone()).call(method, path)
    assert response.status_code == 200
    assert method == "HEAD" or response.get_json()["status"] == "ok"


def test_a_server_is_ready_when_ollama_answers() -> None:
    assert scripted().call("GET", "/readyz").get_json() == {"status": "ok", "ollama": "0.33.0"}
    response = app(Gone()).call("GET", "/readyz")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert check_envelope(response.get_json())["code"] == "upstream_unavailable"
