"""The composition root: what every request and every response has, whatever is asked."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from o2o.app import PREFIXES, create_app, make_policy, make_upstream
from o2o.config import Settings
from o2o.translate.policy import Policy
from o2o.upstream.line import Line
from tests.blueprints.calling import App, app, check_envelope, scripted
from tests.cases import reply
from tests.fakes import Script, ScriptedReplies, ScriptedUpstream

HI: Script = [[reply("chat", {"content": "Hi", "done": "stop", "prompt": 5, "eval": 1})]]
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/models"),
        ("GET", "/nothing"),
        ("PUT", PATH),
        ("POST", PATH),
        ("OPTIONS", PATH),
    ],
)
def test_every_response_has_what_openais_have(method: str, path: str) -> None:
    served = scripted()
    ids = set()
    for _ in range(2):
        headers = served.call(method, path).headers
        assert headers["openai-version"] == "2020-10-01"
        assert headers["openai-processing-ms"].isdigit()
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"].startswith("req_")
        ids.add(headers["x-request-id"])
    assert len(ids) == 2


@pytest.mark.parametrize("prefix", [prefix.replace("<path:deployment>", "m") for prefix in PREFIXES])
def test_the_api_is_where_clients_look_for_it(prefix: str) -> None:
    served = scripted(HI)
    assert served.post(f"{prefix}/chat/completions", BODY).status_code == 200
    assert served.call("GET", f"{prefix}/models").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1"])
def test_a_slash_at_the_end_makes_no_difference(prefix: str) -> None:
    served = scripted(HI)
    assert served.post(f"{prefix}/chat/completions/", BODY).status_code == 200
    assert served.call("GET", f"{prefix}/models/").status_code == 200


@pytest.mark.parametrize(
    "path", ["//v1/chat/completions", "/v1//chat/completions", "/v1///chat//completions"]
)
def test_slashes_too_many_make_no_difference(path: str) -> None:
    assert scripted(HI).post(path, BODY).status_code == 200


def test_a_wrong_method_is_told_the_right_ones() -> None:
    response = scripted().call("GET", PATH)
    assert response.status_code == 405
    assert response.headers["Allow"] == "OPTIONS, POST"
    error = check_envelope(response.get_json())
    assert error["code"] == "method_not_supported"
    assert error["message"].startswith(f"Not allowed to GET on {PATH}.")


def test_what_openai_has_and_we_have_not_beats_the_method() -> None:
    served = scripted()
    assert served.call("GET", "/v1/responses").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b'{"model": "m"}', 400), (b"x" * 2000, 413)],
)
def test_a_body_that_is_none_is_an_error_of_the_callers(body: bytes, status: int) -> None:
    response = scripted(max_body_bytes=1024).post(PATH, body)
    assert response.status_code == status
    assert check_envelope(response.get_json())["type"] == "invalid_request_error"


def test_a_form_is_not_json() -> None:
    response = scripted().post(PATH, b"a=b", Content_Type="application/x-www-form-urlencoded")
    assert response.status_code in (400, 415)
    assert check_envelope(response.get_json())["code"] == "unsupported_content_type"


def test_a_bug_is_told_without_its_text_and_logged_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    response = scripted([ZeroDivisionError("secret")]).post(PATH, BODY)
    assert response.status_code == 500
    assert check_envelope(response.get_json())["type"] == "server_error"
    assert b"secret" not in response.data
    logged = capsys.readouterr().err
    assert "secret" in logged
    assert "error=ZeroDivisionError" in logged


def test_keys_are_wanted_where_there_are_some() -> None:
    served = scripted(HI, api_keys=("sk-right-and-long-enough",))
    assert served.call("GET", "/health").status_code == 200
    for response in (served.post(PATH, BODY), served.post(PATH, BODY, Authorization="Bearer sk-wrong")):
        assert response.status_code == 401
        check_envelope(response.get_json())
    assert served.upstream.asked == []
    assert served.post(PATH, BODY, Authorization="Bearer sk-right-and-long-enough").status_code == 200


def test_a_foreign_page_is_turned_away_and_one_of_our_own_machine_is_not() -> None:
    served = scripted(HI)
    refused = served.post(PATH, BODY, Origin="https://evil.example")
    assert refused.status_code == 403
    check_envelope(refused.get_json())
    assert served.upstream.asked == []
    allowed = served.post(PATH, BODY, Origin="http://localhost:3000")
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_a_preflight_needs_no_key_and_has_no_body() -> None:
    served = scripted(api_keys=("sk-right-and-long-enough",))
    response = served.call(
        "OPTIONS",
        PATH,
        Origin="http://localhost:3000",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization, x-stainless-os",
    )
    assert response.status_code == 204
    assert response.data == b""
    assert "Content-Type" not in response.headers


def test_two_apps_share_nothing() -> None:
    one, two = scripted(HI, strict=True), scripted(HI)
    assert one.post(PATH, {**BODY, "x": 1}).status_code == 400
    assert two.post(PATH, {**BODY, "x": 1}).status_code == 200
    assert one.services.admission is not two.services.admission


def test_without_an_upstream_the_settings_name_one() -> None:
    made = create_app(Settings(ollama_api_base_url="http://127.0.0.1:9"))
    response = App(made, ScriptedUpstream()).post(PATH, BODY)
    assert response.status_code == 503
    assert check_envelope(response.get_json())["code"] == "upstream_unavailable"
    assert "127.0.0.1" in repr(make_upstream(Settings(ollama_api_base_url="http://127.0.0.1:9")))


def test_what_the_settings_say_by_default_is_what_a_policy_is_by_default() -> None:
    assert make_policy(Settings()) == Policy()


def test_a_deadline_ends_a_request() -> None:
    class Waiting(ScriptedUpstream):
        """Is silent until the line is cut."""

        def ask(self, path: str, payload: Any, line: Line, **more: Any) -> ScriptedReplies:
            cut = threading.Event()
            line.on_cut(cut.set)
            assert cut.wait(5)
            return super().ask(path, payload, line, **more)

    served = app(Waiting(shows={"m": {}}), deadline=0.05)
    response = served.post(PATH, BODY)
    assert response.status_code == 504
    assert check_envelope(response.get_json())["code"] == "request_deadline_exceeded"
    served.check_released()


def test_a_request_is_one_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    response = scripted(HI).post(PATH, BODY)
    [line] = [line for line in capsys.readouterr().err.splitlines() if "o2o.request" in line]
    for told in (response.headers["x-request-id"], "method=POST", f"path={PATH}", "status=200", "model=m"):
        assert told in line
    assert "completion_tokens=1" in line
    assert "Hi" not in line


def test_bodies_are_json_in_utf_8() -> None:
    script: Script = [[reply("chat", {"content": "Århus 日本", "done": "stop"})]]
    response = scripted(script).post(PATH, BODY)
    assert response.content_type == "application/json"
    assert "Århus 日本".encode() in response.data
    assert json.loads(response.data)["choices"][0]["message"]["content"] == "Århus 日本"
