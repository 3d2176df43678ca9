"""What the hostile and the careless send: refused, bounded, and never passed on."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.raw import RawServer
from tests.reliability import bombs, malformed
from tests.reliability.caller import PATHS, Answer, Caller, Endpoint, ask, body_for, get, request, send
from tests.reliability.chaos import ALLOWED, Chaos
from tests.reliability.houses import KEY, Houses
from tests.reliability.outcomes import ENVELOPE
from tests.reliability.rows_of_callers import tagged
from tests.server import REPOSITORY, Server

PROMPT = "pr0mpt-c4n4ry"
ENDPOINTS: tuple[Endpoint, ...] = ("chat", "completions", "embeddings")


def _refused(answer: Answer, *statuses: int) -> dict[str, Any]:
    """Return the error of an answer after having looked at its form."""
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.error
    assert error is not None
    assert sorted(error) == ENVELOPE
    return error


def _asked(chaos: Chaos) -> int:
    return len(chaos.requests)


@pytest.fixture
def canary() -> Iterator[RawServer]:
    """Something that nobody may connect to."""
    with RawServer(lambda connection, number: None) as server:
        yield server
        assert server.connections == 0


# --- S1, S4, S5: keys


def test_a_server_that_must_have_keys_does_not_start_without(chaos: Chaos) -> None:
    server = Server(chaos.url, {"O2O_REQUIRE_KEYS": "true"})
    with pytest.raises(AssertionError, match="O2O_API_KEYS"):
        server.__enter__()
    assert server.stop() != 0


WRONG_KEYS = {
    "none": b"",
    "a wrong one": b"Authorization: Bearer sk-wrong\r\n",
    "one that is not ASCII": b"Authorization: Bearer \xc3\xa9\xff\r\n",
    "an empty one": b"Authorization: Bearer \r\n",
    "one of another kind": b"Authorization: Basic " + KEY.encode() + b"\r\n",
    "a beginning of the right one": b"Authorization: Bearer " + KEY[:-1].encode() + b"\r\n",
    "the right one with more": b"Authorization: Bearer " + KEY.encode() + b"x\r\n",
    "a very long one": b"Authorization: Bearer " + b"x" * 7000 + b"\r\n",
    "a wrong one twice": b"api-key: sk-wrong\r\nx-api-key: sk-wrong\r\n",
}


@pytest.mark.parametrize("words", WRONG_KEYS)
def test_without_the_key_every_route_is_closed(houses: Houses, chaos: Chaos, words: str) -> None:
    port, before = houses.port("keyed"), _asked(chaos)
    for path in (
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/x",
        "/metrics",
    ):
        method = b"GET" if "models" in path or path == "/metrics" else b"POST"
        head = method + b" " + path.encode() + b" HTTP/1.1\r\n" + malformed.HOST + WRONG_KEYS[words]
        error = _refused(send(port, head + b"Content-Length: 0\r\n\r\n"), 401)
        assert KEY not in str(error)
    assert _asked(chaos) == before


def test_the_key_of_a_caller_is_neither_passed_on_nor_logged(houses: Houses, chaos: Chaos) -> None:
    server = houses["keyed"]
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"api-key": KEY}, {"x-api-key": KEY}):
        for endpoint in ENDPOINTS:
            for fault in ("good", "missing", "crashed", "closed-late"):
                body = body_for(endpoint, tagged(fault))
                with Caller(server.port) as caller:
                    assert caller.post(PATHS[endpoint], body, headers).answer().status != 401
        assert get(server.port, "/v1/models", headers).status == 200
        assert _refused(get(server.port, "/v1/models/no-such-model", headers), 404)
    server.await_log(lambda log: log.count("no-such-model") >= 3, "the last lines")
    assert KEY not in server.log
    for seen in list(chaos.requests):
        assert KEY not in str(seen.headers)
        assert KEY.encode() not in seen.raw


def test_proxies_and_passwords_of_the_environment_are_not_used(houses: Houses, chaos: Chaos) -> None:
    """The server was started with a proxy and a .netrc in its environment."""
    model = tagged("good")
    with Caller(houses.port("keyed")) as caller:
        caller.post(PATHS["chat"], body_for("chat", model), {"Authorization": f"Bearer {KEY}"})
        assert caller.answer().status == 200
    (seen,) = chaos.asked_for(model)
    assert "authorization" not in seen.headers
    assert set(seen.headers) <= {
        "host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length"
    }  # fmt: skip


# --- S2: what must never be asked of an Ollama

FORBIDDEN = (
    "/api/pull /api/push /api/delete /api/create /api/copy /api/blobs/sha256:00 /api/signout /api/me /api/chat "
    "/api/tags /v1/../api/delete /v1/%2e%2e/api/delete //api/pull /v1//../api/pull /v1/models/../../api/delete "
    "/v1/chat/completions/../../../api/delete /v1/api/delete /openai/api/pull /v1/chat/completions%2f..%2fapi%2fpull"
).split()


@pytest.mark.parametrize("path", FORBIDDEN)
def test_no_path_leads_to_the_rest_of_ollama(calm: int, chaos: Chaos, path: str) -> None:
    before = _asked(chaos)
    for method in ("GET", "POST", "DELETE", "PUT", "HEAD"):
        with Caller(calm) as caller:
            caller.send(request(path, {"model": "practice", "name": "practice"}, method=method))
            assert caller.head().status in (403, 404, 405)
    # What looks like the name of a model is looked for in the list of models, and nowhere else.
    assert {seen.path for seen in chaos.requests[before:]} <= {"/api/tags", "/api/ps", "/api/show"}


def test_a_path_of_another_machine_is_not_fetched(calm: int, canary: RawServer) -> None:
    for line in (f"GET {canary.url}/ HTTP/1.1", f"CONNECT {canary.url.removeprefix('http://')} HTTP/1.1"):
        with Caller(calm) as caller:
            caller.send(line.encode() + b"\r\n" + malformed.HOST + b"\r\n")
            assert caller.head().status in (200, 400, 404, 405)  # the path of an absolute address is our own


# --- S3: side effects

LOCKED: tuple[dict[str, Any], ...] = (
    {"keep_alive": 0},
    {"keep_alive": -1},
    {"num_ctx": 1_000_000},
    {"options": {"num_ctx": 1_000_000}},
    {"options": {"num_gpu": 0}},
    {"num_thread": 1},
)


@pytest.mark.parametrize("more", LOCKED, ids=str)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_locked_server_lets_nobody_load_or_unload(
    houses: Houses, chaos: Chaos, endpoint: Endpoint, more: dict[str, Any]
) -> None:
    before = _asked(chaos)
    _refused(ask(houses.port("strict"), endpoint, "good:locked", **more), 403)
    assert _asked(chaos) == before


def test_a_locked_server_does_not_take_a_window_from_a_header_either(houses: Houses, chaos: Chaos) -> None:
    with Caller(houses.port("strict")) as caller:
        caller.post(PATHS["chat"], body_for("chat", "good:locked"), {"x-o2o-num-ctx": "1000000"})
        _refused(caller.answer(), 403)
    assert chaos.asked_for("good:locked") == []


def test_an_empty_conversation_which_would_unload_a_model_does_not_travel(calm: int, chaos: Chaos) -> None:
    before = _asked(chaos)
    _refused(ask(calm, "chat", "good:empty", messages=[]), 400)
    _refused(ask(calm, "chat", "good:empty", messages=[], keep_alive=0), 400)
    _refused(ask(calm, "completions", "good:empty", prompt=[]), 400)
    _refused(ask(calm, "embeddings", "good:empty", input=[]), 400)
    assert _asked(chaos) == before


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "glm-5:cloud"])
def test_prompts_go_to_no_cloud_where_that_is_forbidden(houses: Houses, chaos: Chaos, model: str) -> None:
    before = len(chaos.asked_for(model))
    for endpoint in ENDPOINTS:
        with Caller(houses.port("keyed")) as caller:
            caller.post(PATHS[endpoint], body_for(endpoint, model), {"Authorization": f"Bearer {KEY}"})
            _refused(caller.answer(), 403)
    assert len(chaos.asked_for(model)) == before


# --- S6 to S8: pictures

INSIDE = (
    "http://127.0.0.1:{port}/a.png http://127.1:{port}/a.png http://2130706433:{port}/a.png http://0x7f000001:{port}/ "
    "http://0177.0.0.1:{port}/ http://localhost:{port}/ http://[::1]:{port}/ http://[::ffff:127.0.0.1]:{port}/ "
    "http://user@127.0.0.1:{port}/ http://example.com@127.0.0.1:{port}/ http://0.0.0.0:{port}/ "
    "http://[64:ff9b::7f00:1]:{port}/ http://169.254.169.254/latest/ file:///etc/passwd ftp://127.0.0.1:{port}/"
).split()


def _picture(url: str) -> list[dict[str, Any]]:
    part = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]


@pytest.mark.parametrize("house", ["calm", "fetching"])
def test_pictures_are_fetched_from_nowhere_inside(
    houses: Houses, chaos: Chaos, canary: RawServer, house: str
) -> None:
    port = int(canary.url.rpartition(":")[2])
    for url in INSIDE:
        answer = ask(houses.port(house), "chat", "good:picture", messages=_picture(url.format(port=port)))
        error = _refused(answer, 400)
        assert error["param"] == "messages[0].content[1].image_url.url", (url, error)
    assert chaos.asked_for("good:picture") == []


BOMB_OF_PIXELS = "iVBORw0KGgoAAAANSUhEUgAATiAAAE4gCAYAAAAAAAAA"
"""The first bytes of a PNG of 20,000 by 20,000 pixels."""


@pytest.mark.parametrize("data", [BOMB_OF_PIXELS, "AAAA" * 10, "bm90IGFuIGltYWdl", "%%%", ""])
def test_what_is_no_picture_of_a_bearable_size_does_not_travel(calm: int, chaos: Chaos, data: str) -> None:
    _refused(ask(calm, "chat", "good:pixels", messages=_picture(f"data:image/png;base64,{data}")), 400)
    assert chaos.asked_for("good:pixels") == []


# --- S9, S10: bombs


@pytest.mark.parametrize("words", bombs.BODIES)
def test_a_body_that_is_a_bomb_is_refused_soon(calm: int, chaos: Chaos, words: str) -> None:
    answer = send(calm, request(PATHS["chat"], bombs.BODIES[words]))
    _refused(answer, 400)
    assert answer.seconds < 5
    assert chaos.asked_for("good:bomb") == []


def test_of_a_repeated_key_the_last_one_counts_and_travels_alone(calm: int, chaos: Chaos) -> None:
    body = b'{"model":"missing:first","model":"good:last","seed":1,"seed":2,' + bombs.HELLO + b"}"
    assert send(calm, request(PATHS["chat"], body)).status == 200
    (seen,) = chaos.asked_for("good:last")
    assert seen.raw.count(b'"seed"') == seen.raw.count(b'"model"') == 1
    assert seen.body["options"]["seed"] == 2


def _in_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}


def _in_tool(schema: dict[str, Any]) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}


@pytest.mark.parametrize("words", bombs.schemas(""))
def test_a_schema_that_is_a_bomb_is_refused_with_its_place(
    calm: int, chaos: Chaos, canary: RawServer, words: str
) -> None:
    schema, tag = bombs.schemas(canary.url)[words], tagged("good")
    for more, place in ((_in_format(schema), "response_format"), (_in_tool(schema), "tools[0]")):
        answer = ask(calm, "chat", tag, **more)
        assert answer.seconds < 5
        if "pattern" in words and place == "tools[0]":
            # Tools are described to the model; no pattern of theirs reaches a parser.
            (seen,) = chaos.asked_for(tag)
            assert '"pattern"' not in seen.raw.decode()
        else:
            assert str(_refused(answer, 400)["param"]).startswith(place)
            assert chaos.asked_for(tag) == []


@pytest.mark.parametrize("words", bombs.HARMLESS)
def test_nothing_in_a_schema_is_run(calm: int, words: str) -> None:
    answer = ask(calm, "chat", "good", **_in_format(bombs.HARMLESS[words]))
    assert answer.status in (200, 400)
    assert answer.seconds < 5


# --- S11, S15, S16: headers, names and logs

TRICKS = (
    "../../etc/passwd", "..", "a/../b", "a\x00b", "a\r\nX-Evil: yes", "a\nstatus=200 forged", "x" * 300, "\u202eevil",
    "", " ", "%2e%2e%2f", "a\u2028b", "a b\tc",
)  # fmt: skip


@pytest.mark.parametrize("model", TRICKS, ids=ascii)
def test_the_name_of_a_model_is_a_name_and_nothing_else(houses: Houses, chaos: Chaos, model: str) -> None:
    server = houses["calm"]
    for endpoint in ENDPOINTS:
        answer = ask(server.port, endpoint, model)
        _refused(answer, 400, 404)
        assert "x-evil" not in answer.headers
    identity = answer.headers["x-request-id"]
    log = server.await_log(lambda log: identity in log, "its line of the log")
    assert sum(identity in line for line in log.splitlines()) == 1
    assert not re.search(r"^(?:status=|X-Evil)", log, re.MULTILINE)
    assert all((seen.method, seen.path) in ALLOWED for seen in list(chaos.requests))


@pytest.mark.parametrize(
    "name", ["..%2f..%2fapi%2ftags", "a%0d%0aX-Evil:%20yes", "%00", "x" * 3000, "a%0astatus=200"]
)
def test_the_name_in_a_path_is_one_too(houses: Houses, name: str) -> None:
    answer = get(houses.port("calm"), f"/v1/models/{name}")
    _refused(answer, 400, 404)
    assert "x-evil" not in answer.headers


def test_nothing_of_a_caller_becomes_a_header(calm: int) -> None:
    names = [
        "a\r\nX-Evil: yes",
        "b" * 100,
        "good_name",
        "é",
        "x\x00y",
        *(f"n{number}" for number in range(30)),
    ]
    more: dict[str, Any] = dict.fromkeys(names, 1)
    answer = ask(calm, "chat", "good", **more)
    assert answer.status == 200
    assert "x-evil" not in answer.headers
    listed = answer.headers["x-o2o-ignored"].split(", ")
    assert len(listed) <= 20
    assert "good_name" in listed
    assert all(re.fullmatch(r"[A-Za-z0-9_.?-]{1,64}", name) for name in listed)


def test_an_id_of_a_caller_does_not_replace_ours(calm: int) -> None:
    for given in (b"req_forged", b"x" * 1000, b"a\tb", b"\xff"):
        head = b"GET /healthz HTTP/1.1\r\n" + malformed.HOST + b"X-Request-Id: " + given + b"\r\n\r\n"
        assert re.fullmatch(r"req_[0-9a-f]{32}", send(calm, head).headers["x-request-id"])


def test_what_is_asked_and_answered_is_not_logged(houses: Houses, chaos: Chaos) -> None:
    server = houses["calm"]
    said = [{"role": "system", "content": PROMPT}, {"role": "user", "content": PROMPT}]
    for fault in ("good", "wrong", "odd-error", "crashed-late", "no-json", "bad-utf8", "missing", "twice"):
        for stream in (False, True):
            ask(
                server.port,
                "chat",
                tagged(fault),
                stream=stream,
                messages=said,
                user=PROMPT,
                **{PROMPT: PROMPT},
            )
            ask(server.port, "completions", tagged(fault), stream=stream, prompt=PROMPT, suffix=PROMPT)
        ask(server.port, "embeddings", tagged(fault), input=[PROMPT])
    for wrong in (
        {"temperature": PROMPT},
        {"messages": PROMPT},
        {"tools": [{"type": PROMPT}]},
        {"tool_choice": PROMPT},
    ):
        _refused(ask(server.port, "chat", tagged("good"), **wrong), 400)
    send(server.port, request(PATHS["chat"], b'{"messages": ' + PROMPT.encode()))
    last = get(server.port, f"/v1/models/{tagged('last')}").headers["x-request-id"]
    log = server.await_log(lambda log: last in log, "the last line")
    assert PROMPT not in log
    assert "well." not in log
    assert "Traceback" not in log


# --- S12: smuggling


def test_there_are_33_of_them() -> None:
    assert len(malformed.REFUSED) == 33


@pytest.mark.parametrize("words", malformed.REFUSED)
def test_what_is_no_proper_http_is_refused_and_its_connection_closed(
    calm: int, chaos: Chaos, words: str
) -> None:
    sent, status = malformed.REFUSED[words]
    before = _asked(chaos)
    with Caller(calm) as caller:
        error = _refused(caller.send(sent).answer(), status)
        assert "<" not in str(error)
        assert caller.rest() == b""
    assert _asked(chaos) == before


def test_after_an_early_error_the_connection_reads_the_next_request_where_it_begins(calm: int) -> None:
    body = malformed.INNER * 3
    with Caller(calm) as caller:
        caller.send(request("/v1/nowhere", body) + request("/healthz", method="GET"))
        caller.head()
        assert b"Invalid URL" in b"".join(caller.pieces())
        caller.head()
        assert b"".join(caller.pieces()) == b'{"status":"ok"}'


# --- S13, S14: browsers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "a\tb"])
def test_pages_from_elsewhere_may_not_call_a_server_without_keys(
    calm: int, chaos: Chaos, origin: str
) -> None:
    before = _asked(chaos)
    for method, path in (("POST", PATHS["chat"]), ("GET", "/v1/models"), ("OPTIONS", PATHS["chat"])):
        with Caller(calm) as caller:
            body = body_for("chat", "good:page") if method == "POST" else None
            answer = caller.send(request(path, body, {"Origin": origin}, method)).answer()
            _refused(answer, 403)
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers
    assert _asked(chaos) == before


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_a_name_that_was_bent_towards_us_is_refused(calm: int, chaos: Chaos, host: str) -> None:
    before = _asked(chaos)
    error = _refused(get(calm, "/v1/models", {"Host": host}), 403)
    assert "O2O_ALLOWED_HOSTS" in error["message"]
    assert _asked(chaos) == before


def test_forms_that_a_page_may_send_unasked_are_no_requests(calm: int, chaos: Chaos) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
        with Caller(calm) as caller:
            caller.post(PATHS["chat"], body_for("chat", "good:form"), {"Content-Type": kind})
            _refused(caller.answer(), 400)
    assert chaos.asked_for("good:form") == []


# --- S18: nobody can make it turn others away


def test_errors_of_one_model_do_not_close_the_way_to_others(calm: int) -> None:
    for fault in ("wrong", "no-memory", "crashed", "odd-error", "busy", "html"):
        for _ in range(8):
            assert ask(calm, "chat", tagged(fault)).status >= 400
    answer = ask(calm, "chat", tagged("good"))
    assert (answer.status, answer.seconds < 2) == (200, True)


# --- S19, S20: what is installed, what is shown


def test_little_is_installed_and_all_of_it_is_pinned_by_its_hash() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    assert len(setup["options"]["install_requires"].split("\n")[1:]) <= 10
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (REPOSITORY / lock).read_text("utf-8")
        pinned = re.findall(r"^[A-Za-z0-9_.-]+==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert len(pinned) > 10
        assert all("--hash=sha256:" in entry for entry in pinned)
    assert not list((REPOSITORY / "o2o").rglob("*.pth"))


@pytest.mark.parametrize(
    "path", ["/metrics", "/admin", "/debug", "/console", "/.env", "/.git/config", "/static/x", "/v1/.env"]
)
def test_nothing_of_the_house_is_shown(houses: Houses, path: str) -> None:
    _refused(get(houses.port("calm"), path), 404)
    _refused(get(houses.port("keyed"), path), 401)


def test_the_server_tells_its_name_and_nothing_more(calm: int) -> None:
    for answer in (
        get(calm, "/"),
        get(calm, "/nowhere"),
        ask(calm, "chat", "good"),
        send(calm, b"nonsense\r\n\r\n"),
    ):
        assert answer.headers["server"] == "o2o"
        shown = str(answer.headers).lower() + answer.body.decode()
        assert not re.search(r"gunicorn|gevent|flask|werkzeug|python|/root|127\.0\.0\.1", shown)
