"""Large images are cut out of a body, and put into a payload as they were."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from o2o.body import parse
from o2o.errors import BadRequest
from o2o.translate.images import image
from o2o.verbatim import LEAST, Verbatim, VerbatimURL, cut, encode, is_base64

TEXT = base64.b64encode(b"GIF89a\x02\x00\x03\x00\0\0\0;" + bytes(LEAST)).decode()
URL = "data:image/gif;base64," + TEXT


def asking(*urls: Any) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": url} for url in urls]
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}]}


def urls(body: Any) -> list[Any]:
    return [part["image_url"] for part in body["messages"][0]["content"][1:]]


def test_a_large_image_is_not_decoded_and_a_small_one_is() -> None:
    small = "data:image/gif;base64,R0lGODlh"
    large, bare, left = urls(parse(json.dumps(asking({"url": URL, "detail": "low"}, URL, small)).encode()))
    for url in (large["url"], bare):
        assert isinstance(url, VerbatimURL)
        assert URL.startswith(url)
        assert bytes(url.verbatim.view).decode() == TEXT
    assert large["detail"] == "low"
    assert type(left) is str


def test_without_short_ways_everything_is_decoded() -> None:
    assert parse(json.dumps(asking(URL)).encode(), short_ways=False) == asking(URL)


def test_what_is_cut_out_is_sent_as_it_came() -> None:
    (url,) = urls(parse(json.dumps(asking(URL)).encode()))
    payload = {"é": 'a"b', "images": [image(url, "p"), "R0lGODlh", image(url, "p")], "last": None}
    parts = encode(payload)
    assert [len(part) > LEAST for part in parts] == [False, True, False, True, False]
    plain = {**payload, "images": [TEXT, "R0lGODlh", TEXT]}
    assert b"".join(parts) == msgspec.json.encode(plain)


def test_a_payload_without_images_is_one_part() -> None:
    assert encode({"a": [1, "\xff"]}) == ['{"a":[1,"\xff"]}'.encode()]


def test_what_has_no_json_is_told() -> None:
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})


@pytest.mark.parametrize(
    "body",
    [
        {"input": URL},
        {"messages": [{"content": URL}]},
        {"messages": [{"content": [{"text": URL}]}]},
        {"messages": [{"content": [{"image_url": {"detail": URL, "url": URL}}]}]},
        {"messages": [{"content": [{"image_url": [URL]}]}]},
        {"messages": [{"content": {"image_url": URL}}]},
        {"messages": {"content": [{"image_url": URL}]}},
        {"messages": [[{"image_url": URL}]]},
        {"messages": [{"content": [URL]}]},
        {"messages": [URL]},
        {"tools": [{"enum": [{"url": URL}]}], **asking(URL)},
        [asking(URL)],
        URL,
        asking("data:image/gif;base64," + TEXT[:-1]),
        asking("data:image/gif;base64," + TEXT[:-4] + "A==="),
        asking("data:image/gif;base64," + TEXT[:-4] + "-AAA"),
        asking("data:image/gif;base64," + "ä" * LEAST),
        asking("data:image/gif;x=%41;base64," + TEXT),
        asking("data:image/gif," + TEXT),
        asking("see " + URL),
        {"user": f'"{URL}"', **asking("x")},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_other_places_and_spellings_are_decoded(body: Any) -> None:
    assert parse(json.dumps(body, ensure_ascii=False).encode()) == body


@pytest.mark.parametrize("mark", ['"\U0010ffff0"', '"\\udbff\\udfff0"', '"\\uDBFF\\uDFFF0"'])
@pytest.mark.parametrize("place", ["before", "after", "instead"])
def test_nobody_writes_a_mark(mark: str, place: str) -> None:
    url = json.dumps(URL)
    parts = {"before": [mark, url], "after": [url, mark], "instead": [mark]}[place]
    listed = ", ".join(f'{{"type": "image_url", "image_url": {part}}}' for part in parts)
    raw = f'{{"messages": [{{"content": [{listed}]}}], "user": {url}}}'.encode()
    assert parse(raw) == json.loads(raw)


def test_of_a_repeated_key_the_last_value_counts() -> None:
    url = json.dumps(URL)
    parts = f'{{"image_url": {url}, "image_url": "x"}}, {{"image_url": {url}}}'
    raw = f'{{"messages": [{{"content": [{parts}]}}]}}'
    assert parse(raw.encode()) == json.loads(raw)


@pytest.mark.parametrize("tail", ["", "]}", "]}]}x", ", 1 2]}]}", "]}], " + "[" * 70])
def test_what_is_wrong_with_the_rest_is_told_as_without_a_cut(tail: str) -> None:
    raw = f'{{"messages": [{{"content": [{{"image_url": "{URL}"}}{tail}'.encode()
    said = []
    for short_ways in (True, False):
        with pytest.raises(BadRequest) as caught:
            parse(raw, short_ways=short_ways)
        said.append(caught.value.message)
    assert said[0] == said[1]


def test_others_get_their_turn_after_each_image() -> None:
    turns: list[int] = []
    found = cut(json.dumps(asking(URL, URL, URL)).encode(), breathe=lambda: turns.append(1))
    assert found is not None
    assert (len(found.urls), len(turns)) == (3, 3)


def test_a_cut_image_may_be_too_large_or_none_at_all() -> None:
    for text, code in (
        ("A" * LEAST * 2, "invalid_image_format"),
        (TEXT[:20] + "A" * 28 * 1024 * 1024, "image_file_too_large"),
    ):
        (url,) = urls(parse(json.dumps(asking("data:;base64," + text)).encode()))
        assert isinstance(url, VerbatimURL)
        with pytest.raises(BadRequest) as caught:
            image(url, "p")
        assert (caught.value.code, caught.value.param) == (code, "p")


def test_a_verbatim_is_as_long_as_its_text() -> None:
    assert len(Verbatim(memoryview(b"AAAA"))) == 4


@pytest.mark.parametrize("text", ["", "AAAA", "AA==", "AAA=", "ab+/"])
def test_base64_is_known_in_text_and_in_bytes(text: str) -> None:
    assert is_base64(text)
    assert is_base64(memoryview(text.encode()))
