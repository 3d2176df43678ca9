"""Only who has a key comes in, and keys are not repeated to anybody."""

from __future__ import annotations

import pytest

from o2o.auth import Keys, is_open
from o2o.errors import Unauthorized

KEY = "sk-abcdefghijklmnopqrstuvwx"


def _refused(keys: Keys, headers: dict[str, str]) -> dict[str, object]:
    with pytest.raises(Unauthorized) as caught:
        keys.check(headers)
    assert caught.value.http_status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    error: dict[str, object] = caught.value.body()["error"]
    return error


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer   {KEY} "},
        {"api-key": KEY},
        {"x-api-key": KEY},
        {"Authorization": "Bearer wrong", "api-key": KEY},
        {"Authorization": "Basic dXNlcjpwYXNz", "x-api-key": KEY},
    ],
)
def test_the_right_key_opens_wherever_it_stands(headers: dict[str, str]) -> None:
    key_id = Keys(["another", KEY]).check(headers)
    assert len(key_id) == 8
    assert int(key_id, 16) >= 0


def test_each_key_has_an_id_of_its_own_that_stays() -> None:
    keys = Keys([KEY, "second"])
    first, second = (keys.check({"api-key": key}) for key in (KEY, "second"))
    assert first != second
    assert Keys([KEY]).check({"api-key": KEY}) == first


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": KEY},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"api-key": " "},
    ],
)
def test_without_a_key_openai_says_so(headers: dict[str, str]) -> None:
    error = _refused(Keys([KEY]), headers)
    assert str(error["message"]).startswith("You didn't provide an API key.")
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)


@pytest.mark.parametrize(
    "wrong", ["sk-wrong", KEY[:-1], KEY + "x", KEY.upper(), "é", "\x80\xff", "日本", "\udcff", "x" * 10_000]
)
def test_a_wrong_key_is_refused(wrong: str) -> None:
    for headers in ({"Authorization": f"Bearer {wrong}"}, {"api-key": wrong}, {"x-api-key": wrong}):
        error = _refused(Keys([KEY]), headers)
        assert str(error["message"]).startswith("Incorrect API key provided: ")
        assert (error["type"], error["param"], error["code"]) == (
            "invalid_request_error",
            None,
            "invalid_api_key",
        )


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ("sk-0123456789abcdefghij", "sk-***ghij"),
        ("sk-0123456789abcdefgh", "sk-***efgh"),
        ("sk-0123456789abcdef", "***"),
        ("hunter2", "***"),
        ("sk-0123456789\x01bcdefghij", "***"),
        ("ÿ" * 40, "***"),
    ],
)
def test_at_most_seven_characters_of_a_long_key_are_shown(wrong: str, shown: str) -> None:
    message = str(_refused(Keys([KEY]), {"api-key": wrong})["message"])
    assert message.startswith(f"Incorrect API key provided: {shown}. ")
    assert wrong not in message


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_key_that_is_not_ascii_opens_in_both_encodings(encoding: str) -> None:
    as_wsgi_has_it = "schlüssel".encode(encoding).decode("latin-1")
    assert Keys(["schlüssel"]).check({"Authorization": f"Bearer {as_wsgi_has_it}"})


def test_nothing_of_a_key_is_kept() -> None:
    keys = Keys([KEY])
    assert KEY not in repr(keys)
    assert KEY not in repr(vars(keys))


def test_without_any_key_nothing_opens() -> None:
    _refused(Keys([]), {"api-key": KEY})


@pytest.mark.parametrize("path", ["/", "/health", "/healthz", "/readyz"])
def test_probes_need_no_key(path: str) -> None:
    assert is_open(path)


@pytest.mark.parametrize(
    "path", ["", "/v1", "/v1/models", "/healthz/../v1/models", "//", "/health/x", "/HEALTH", "/metrics"]
)
def test_everything_else_does(path: str) -> None:
    assert not is_open(path)
