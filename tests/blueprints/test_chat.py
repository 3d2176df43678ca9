"""`POST /v1/chat/completions`, from bytes to bytes."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from o2o.errors import Refused, UpstreamBroken, UpstreamTimeout
from tests.blueprints.calling import CaseUpstream, Events, app, check_envelope, events, scripted
from tests.cases import Case, plain, played, reply
from tests.fakes import Script, ScriptedUpstream
from tests.table import check_told

PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
HI: Script = [[reply("chat", "Hi")], [reply("chat", {"done": "stop", "prompt": 5, "eval": 1})]]


@pytest.mark.parametrize(("case", "whole"), played("chat"))
def test_case(case: Case, whole: bool) -> None:
    upstream = CaseUpstream(case, whole=whole)
    served = app(upstream, **case.get("settings", {}))
    response = served.post(PATH, {**case.body(whole=whole), "stream_options": {"include_usage": True}})
    if response.content_type == "application/json":
        body = json.loads(response.data)
        if case.error(whole=whole) is not None:
            check_told(case, response.status_code, check_envelope(body), whole=whole)
        else:
            assert plain({"choices": body["choices"], "usage": body["usage"]}) == plain(case.completion())
    else:
        check_stream(case, events(response.data))
    assert upstream.left == []
    served.check_released()
    check_headers(case, dict(response.headers), whole=whole)


def check_stream(case: Case, came: Events) -> None:
    expected = plain(case.choices()) if case.get("said") else []
    indices = {choice["index"] for choice in expected}
    for index in indices:
        assert [choice for choice in plain(came.choices) if choice["index"] == index] == [
            choice for choice in expected if choice["index"] == index
        ]
    if case.error(whole=False) is not None:
        assert came.error is not None
        check_told(case, 200, check_envelope({"error": came.error}), whole=False)
        assert came.done == 0
        return
    assert came.error is None
    assert came.done == 1
    *before, last = came.chunks
    assert all(chunk["usage"] is None for chunk in before)
    assert last["choices"] == []
    if case.get("whole_asks") is None:
        assert last["usage"] == case.completion()["usage"]


def check_headers(case: Case, headers: dict[str, str], *, whole: bool) -> None:
    for name, value in case.get("headers", {}).items():
        # What happens after the first line of a stream is told in the log.
        if whole or name != "x-o2o-warning" or value in ("num_ctx_grown", "roles_merged"):
            assert headers[name] == value


# --- whole answers


def test_a_completion_has_all_that_openai_promises() -> None:
    served = scripted(HI)
    response = served.post(PATH, BODY)
    body = response.get_json()
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert set(body) == {
        "id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint",
    }  # fmt: skip
    assert body["id"].startswith("chatcmpl-")
    assert body["object"] == "chat.completion"
    assert isinstance(body["created"], int)
    assert body["model"] == "m"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    served.check_released()


def test_calls_have_ids_of_their_own() -> None:
    script: Script = [[reply("chat", {"calls": [["f", {}], ["f", {}]], "done": "stop"})]]
    tools = [{"type": "function", "function": {"name": "f"}}]
    calls = (
        scripted(script)
        .post(PATH, {**BODY, "tools": tools})
        .get_json()["choices"][0]["message"]["tool_calls"]
    )
    ids = [call["id"] for call in calls]
    assert all(one.startswith("call_") and len(one) == 29 for one in ids)
    assert len(set(ids)) == 2


def test_the_alias_is_answered_and_its_target_is_asked() -> None:
    served = scripted(HI, model_aliases="gpt-4o=m?temperature=0.5")
    response = served.post(PATH, {**BODY, "model": "gpt-4o"})
    assert response.get_json()["model"] == "gpt-4o"
    assert served.upstream.asked[0][1]["model"] == "m"
    assert served.upstream.asked[0][1]["options"] == {"temperature": 0.5}


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_once_refused_the_order_of_roles_gets_them_merged_at_once(stream: bool) -> None:
    refusal = Refused(400, "Jinja Exception: roles must alternate")
    served = scripted([refusal], HI, HI)
    body = {**BODY, "messages": [*BODY["messages"], {"role": "user", "content": "there"}], "stream": stream}
    warnings = [served.post(PATH, body).headers["x-o2o-warning"] for _ in range(2)]
    assert warnings == ["roles_merged", "roles_merged"]
    merged = [len(payload["messages"]) for _, payload in served.upstream.asked]
    assert merged == [2, 1, 1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_window_can_be_asked_for_in_a_header(stream: bool) -> None:
    served = scripted(HI)
    response = served.post(PATH, {**BODY, "stream": stream}, x_o2o_num_ctx="8192")
    assert response.headers["x-o2o-num-ctx"] == "8192"
    assert served.upstream.asked[0][1]["options"] == {"num_ctx": 8192}
    for wrong in ("0", "-1", "x", "9" * 30, "１"):
        error = check_envelope(served.post(PATH, BODY, x_o2o_num_ctx=wrong).get_json())
        assert error["param"] == "num_ctx"
    served.check_released()


def test_more_choices_than_the_operator_allows_are_refused() -> None:
    served = scripted(max_n=2)
    error = check_envelope(served.post(PATH, {**BODY, "n": 3}).get_json())
    assert (error["code"], error["param"]) == ("integer_above_max_value", "n")
    served.check_released()


# --- streams


def test_a_chunk_has_all_that_openai_promises() -> None:
    response = scripted(HI).post(PATH, {**BODY, "stream": True})
    assert response.content_type == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response.headers
    came = events(response.data)
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in came.chunks} == {
        (came.chunks[0]["id"], came.chunks[0]["created"], "m", "chat.completion.chunk")
    }
    assert not any("usage" in chunk for chunk in came.chunks)
    assert [choice["delta"] for choice in came.choices] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hi"},
        {},
    ]
    assert came.done == 1


def test_padding_is_there_only_where_it_was_asked_for() -> None:
    options = {"include_obfuscation": True, "include_usage": True}
    came = events(scripted(HI).post(PATH, {**BODY, "stream": True, "stream_options": options}).data)
    assert all(chunk["obfuscation"] for chunk in came.chunks if chunk["choices"])
    plain_ones = events(scripted(HI).post(PATH, {**BODY, "stream": True}).data)
    assert not any("obfuscation" in chunk for chunk in plain_ones.chunks)


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Refused(404, "model 'm' not found"), 404, "model_not_found"),
        (UpstreamTimeout(), 504, "upstream_timeout"),
        (UpstreamBroken(), 502, "upstream_broken"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_before_the_first_line_is_an_error_of_http(
    failure: Exception, status: int, code: str, stream: bool
) -> None:
    served = scripted([failure])
    response = served.post(PATH, {**BODY, "stream": stream})
    assert response.status_code == status
    assert check_envelope(response.get_json())["code"] == code
    served.check_released()


def test_what_fails_later_is_the_last_event() -> None:
    served = scripted([[reply("chat", "Hi")], UpstreamTimeout()])
    response = served.post(PATH, {**BODY, "stream": True})
    came = events(response.data)
    assert response.status_code == 200
    assert "".join(choice["delta"].get("content", "") for choice in came.choices) == "Hi"
    assert not any(choice["finish_reason"] for choice in came.choices)
    assert came.error is not None
    assert came.error["code"] == "upstream_timeout"
    assert came.done == 0
    served.check_released()


def test_a_bug_in_the_middle_is_told_without_its_text() -> None:
    served = scripted([[reply("chat", "Hi")], ZeroDivisionError("secret")])
    response = served.post(PATH, {**BODY, "stream": True})
    assert events(response.data).error == {
        "message": "The server had an error while processing your request.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    served.check_released()


def test_a_sign_of_life_comes_as_a_comment_and_commits_the_status() -> None:
    served = scripted([[], [], Refused(404, "model 'm' not found")])
    response = served.post(PATH, {**BODY, "stream": True})
    came = events(response.data)
    assert response.status_code == 200
    assert came.comments == 2
    assert came.error is not None
    assert came.error["code"] == "model_not_found"


def test_a_stream_is_closed_even_if_it_is_never_read() -> None:
    served = scripted(HI)
    response = served.post(PATH, {**BODY, "stream": True}, read=False)
    assert served.services.admission.in_flight == 1
    response.close()
    served.check_released()


@pytest.mark.parametrize("n", [1, 3])
def test_a_stream_is_closed_when_the_caller_leaves_in_the_middle(n: int) -> None:
    said: Script = [[reply("chat", str(number))] for number in range(50)]
    served = scripted(*[[*said, [reply("chat", {"done": "stop"})]] for _ in range(n)])
    response = served.post(PATH, {**BODY, "stream": True, "n": n}, read=False)
    pieces = iter(response.response)
    assert any("role" in str(next(pieces)) for _ in range(2))
    response.close()
    served.check_released()
    assert len(served.upstream.given) == n


# --- places


def test_who_comes_when_all_places_are_taken_is_told_when_to_come_back_and_ollama_is_not_asked() -> None:
    served = scripted(HI, HI, max_in_flight=1)
    first = served.post(PATH, {**BODY, "stream": True}, read=False)
    second = served.post(PATH, BODY)
    assert second.status_code == 503
    assert check_envelope(second.get_json())["code"] == "server_overloaded"
    assert int(second.headers["Retry-After"]) >= 1
    assert len(served.upstream.asked) == 1
    first.close()
    assert served.post(PATH, BODY).status_code == 200
    served.check_released()


def test_a_place_is_given_back_whatever_fails() -> None:
    served = scripted([ZeroDivisionError()], [Refused(500, "no")], max_in_flight=1)
    for _ in range(2):
        for body in ({"model": "m"}, {**BODY, "temperature": 9}, {**BODY, "model": "unknown", "stop": "x"}):
            assert served.post(PATH, body).status_code in (400, 404)
        assert served.post(PATH, BODY).status_code in (500, 502)
    served.check_released()


# --- the rest of the route


def test_tokens_of_a_prompt_can_be_counted() -> None:
    served = scripted([[reply("chat", {"content": "x", "done": "length", "prompt": 17, "eval": 1})]])
    response = served.post(f"{PATH}/input_tokens", {**BODY, "max_tokens": 100})
    assert response.get_json() == {"object": "chat.completion.input_tokens", "input_tokens": 17}
    assert served.upstream.asked[0][1]["options"] == {"num_predict": 1}
    served.check_released()


def test_a_prompt_is_counted_in_the_window_that_is_asked_for() -> None:
    served = scripted([[reply("chat", {"done": "length", "prompt": 17})]])
    response = served.post(f"{PATH}/input_tokens", {**BODY, "num_ctx": 8192, "store": True})
    assert (response.headers["x-o2o-num-ctx"], response.headers["x-o2o-ignored"]) == ("8192", "store")
    assert served.upstream.asked[0][1]["options"] == {"num_ctx": 8192, "num_predict": 1}


def test_a_body_of_the_responses_api_is_answered_as_chat() -> None:
    served = scripted(HI)
    response = served.post(PATH, {"model": "m", "input": "Hi", "max_output_tokens": 5})
    assert response.get_json()["object"] == "chat.completion"
    assert served.upstream.asked[0][1]["messages"] == [{"role": "user", "content": "Hi"}]
    assert served.upstream.asked[0][1]["options"] == {"num_predict": 5}


def test_the_model_is_taken_from_where_it_stands() -> None:
    body = {"messages": BODY["messages"]}
    served = scripted(HI, HI, default_model="d")
    assert served.post("/openai/deployments/hf.co/x/chat/completions", body).get_json()["model"] == "hf.co/x"
    assert served.post(PATH, body).get_json()["model"] == "d"
    assert check_envelope(scripted().post(PATH, body).get_json())["param"] == "model"


def test_two_requests_at_once_do_not_know_of_each_other() -> None:
    waiting, begun = threading.Event(), threading.Event()
    slow: Script = [begun.set, lambda: waiting.wait(5), *HI]
    served = app(ScriptedUpstream(slow, HI, shows={"m": {}}))
    bodies: list[Any] = []
    thread = threading.Thread(target=lambda: bodies.append(served.post(PATH, BODY).get_json()))
    thread.start()
    assert begun.wait(5)
    assert served.post(PATH, BODY).status_code == 200
    waiting.set()
    thread.join(5)
    assert bodies[0]["choices"][0]["message"]["content"] == "Hi"
    served.check_released()
