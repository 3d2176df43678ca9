"""Pages from elsewhere get nothing from a server without keys."""

from __future__ import annotations

import pytest

from o2o.errors import Forbidden
from o2o.origin import Origins

LOCAL = [
    "http://localhost",
    "http://localhost:3000",
    "https://localhost:3000",
    "HTTP://LOCALHOST:3000",
    "http://127.0.0.1:8080",
    "http://127.1.2.3",
    "http://0.0.0.0:8000",
    "http://[::1]:5173",
    "http://tauri.localhost",
    "app://obsidian.md",
    "file://",
    "tauri://localhost",
    "vscode-webview://0c0e0g1h2",
    "vscode-file://vscode-app",
]

FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
    "http://localhost@evil.example",
    "http://localhost:3000.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1:80:80",
    "http://evilocalhost",
    "http://[::2]",
    "http://192.168.1.5",
    "ftp://localhost",
    "chrome-extension://abc",
    "app://a b",
    "http://localhost\nhttp://evil.example",
    "http://localhost, https://evil.example",
    "localhost",
    "://",
]

OUR_NAMES = [
    "localhost",
    "localhost:8000",
    "LocalHost.:8000",
    "127.0.0.1",
    "127.0.0.1:8000",
    "192.168.178.20:8000",
    "8.8.8.8",
    "[::1]:8000",
    "[fe80::1]",
    "o2o",
    "o2o:8000",
    "box.localhost",
    "box.local",
    "box.lan:80",
    "box.home.arpa",
    "host.docker.internal",
    "machine.example.com",
    "Machine.Example.com:8000",
]

FOREIGN_NAMES = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "evil.locallan",
    "mymachine.example.com",
    "machine.example.com.evil.example",
    "8.8.8.8.8",
]


def _origins(*cors: str, hosts: tuple[str, ...] = (), keyed: bool = False) -> Origins:
    return Origins(cors_origins=cors, allowed_hosts=hosts, keyed=keyed, machine_name="machine.example.com")


@pytest.mark.parametrize("origin", LOCAL)
def test_pages_of_this_machine_may_call_and_read(origin: str) -> None:
    origins = _origins()
    assert origins.judge(origin, "127.0.0.1:8000") is None
    assert origins.cors(origin, {})["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_from_elsewhere_may_neither_call_nor_read(origin: str) -> None:
    origins = _origins()
    refused = origins.judge(origin, "localhost:8000")
    assert isinstance(refused, Forbidden)
    assert (refused.http_status, refused.code) == (403, "origin_not_allowed")
    assert "O2O_CORS_ORIGINS" in refused.message
    assert origins.cors(origin, {}) == {"Vary": "Origin"}


@pytest.mark.parametrize("origin", FOREIGN)
def test_with_keys_a_foreign_page_may_call_but_not_read(origin: str) -> None:
    origins = _origins(keyed=True)
    assert origins.judge(origin, "evil.example") is None
    assert origins.cors(origin, {}) == {"Vary": "Origin"}


@pytest.mark.parametrize("host", [*OUR_NAMES, None, ""])
def test_local_names_and_addresses_are_answered(host: str | None) -> None:
    assert _origins().judge(None, host) is None
    assert _origins().judge("", host) is None


@pytest.mark.parametrize("host", FOREIGN_NAMES)
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    for origin in (None, f"http://{host}", "http://localhost"):
        refused = _origins().judge(origin, host)
        assert isinstance(refused, Forbidden)
        assert (refused.http_status, refused.code) == (403, "host_not_allowed")
        assert "O2O_ALLOWED_HOSTS" in refused.message


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://192.168.1.5:8000", "192.168.1.5:8000"),
        ("http://box.lan", "box.lan"),
        ("http://box.lan:80", "box.lan"),
        ("http://box.lan", "BOX.lan:80"),
        ("https://box.lan", "box.lan:443"),
        ("http://o2o:8000", "o2o:8000"),
        ("http://[fe80::1]:8000", "[fe80::1]:8000"),
    ],
)
def test_a_page_of_the_same_host_may_call(origin: str, host: str) -> None:
    assert _origins().judge(origin, host) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://192.168.1.5:3000", "192.168.1.5:8000"),
        ("http://box.lan", "other.lan"),
        ("http://box.lan", None),
        ("box.lan", "box.lan"),
        ("ftp://box.lan", "box.lan"),
    ],
)
def test_a_page_of_a_neighbour_may_not(origin: str, host: str | None) -> None:
    assert isinstance(_origins().judge(origin, host), Forbidden)


def test_the_operator_adds_origins() -> None:
    origins = _origins("https://chat.example.com", "https://*.example.org", "null")
    for origin in ("https://chat.example.com", "https://Chat.Example.com", "https://a.b.example.org", "null"):
        assert origins.judge(origin, "localhost") is None
        assert origins.cors(origin, {})["Access-Control-Allow-Origin"] == origin
    for origin in (
        "http://chat.example.com",
        "https://chat.example.com:444",
        "https://chatxexample.com",
        "https://chat.example.com.evil.example",
        "https://evil.example/.example.org",
    ):
        assert isinstance(origins.judge(origin, "localhost"), Forbidden)
        assert origins.cors(origin, {}) == {"Vary": "Origin"}


def test_a_star_allows_every_origin_by_its_own_name() -> None:
    origins = _origins("*")
    assert origins.judge("https://any.example", "localhost") is None
    assert origins.cors("https://any.example", {})["Access-Control-Allow-Origin"] == "https://any.example"


def test_the_operator_adds_names() -> None:
    origins = _origins(hosts=("ai.example.net", "*.ai.example.net", "odd.example.net:8000"))
    for host in ("ai.example.net", "AI.example.net:443", "a.ai.example.net", "odd.example.net:8000"):
        assert origins.judge(None, host) is None
    for host in ("example.net", "xai.example.net", "odd.example.net:9000", "odd.example.net"):
        assert isinstance(origins.judge(None, host), Forbidden)
    assert origins.judge("https://ai.example.net", "ai.example.net") is None


def test_a_machine_without_a_name_does_not_open_everything() -> None:
    nameless = Origins(cors_origins=(), allowed_hosts=(), keyed=False, machine_name="")
    assert isinstance(nameless.judge(None, "evil.example"), Forbidden)
    assert isinstance(nameless.judge("https://evil.example", "localhost"), Forbidden)


def test_an_answer_never_allows_credentials_and_shows_its_own_headers() -> None:
    assert _origins().cors("http://localhost:3000", {}) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "http://localhost:3000",
        "Access-Control-Expose-Headers": "X-Request-ID, x-o2o-ignored, x-o2o-warning, x-o2o-num-ctx",
    }


def test_a_preflight_is_told_what_it_asked_for() -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os,x-stainless-lang",
    }
    allowed = _origins().cors("http://localhost:3000", asked)
    assert allowed["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert allowed["Access-Control-Allow-Headers"] == asked["Access-Control-Request-Headers"]
    assert "POST" in allowed["Access-Control-Allow-Methods"]
    assert int(allowed["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in allowed
    assert "Access-Control-Allow-Private-Network" not in allowed


def test_a_preflight_for_a_private_network_is_answered() -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}
    allowed = _origins("https://chat.example.com").cors("https://chat.example.com", asked)
    assert allowed["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("wanted", ["", "x\r\nSet-Cookie: a=b", "x" * 2001, "é"])
def test_header_names_that_are_none_are_not_repeated(wanted: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    assert "Access-Control-Allow-Headers" not in _origins().cors("http://localhost", asked)


def test_a_foreign_preflight_is_told_nothing() -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert _origins().cors("https://evil.example", asked) == {"Vary": "Origin"}


def test_what_is_repeated_of_a_request_is_short() -> None:
    for refused in (
        _origins().judge("https://" + "x" * 5000, "localhost"),
        _origins().judge(None, "x." * 5000),
    ):
        assert refused is not None
        assert len(refused.message) < 400
