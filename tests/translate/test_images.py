from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.images import (
    MAX_BYTES,
    Data,
    check_image,
    data_url,
    from_base64,
    image,
    is_image,
    size,
    web_images,
)

PARAM = "messages[0].content[1].image_url.url"


def png(width: int = 2, height: int = 3) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\0\0\0"


def gif(width: int = 2, height: int = 3) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def bmp(width: int = 2, height: int = 3) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<Iii", 40, width, height)


def old_bmp(width: int = 2, height: int = 3) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<IHH", 12, width, height)


def webp(kind: bytes, chunk: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + struct.pack("<I", len(chunk)) + chunk


def lossy(width: int = 2, height: int = 3) -> bytes:
    return webp(b"VP8 ", b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height))


def lossless(width: int = 2, height: int = 3) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def extended(width: int = 2, height: int = 3) -> bytes:
    return webp(b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def jpeg(width: int = 2, height: int = 3, frame: int = 0xC2) -> bytes:
    head = (
        b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"JF" + b"\xff\x01\xff\xc4" + struct.pack(">H", 3) + b"x"
    )
    return head + b"\xff\xff" + bytes([frame]) + struct.pack(">HBHH", 11, 8, height, width) + b"\x01"


KINDS = [png, gif, bmp, old_bmp, lossy, lossless, extended, jpeg]


def data(raw: bytes) -> Data:
    return Data(base64.b64encode(raw).decode())


def as_url(raw: bytes, head: str = "data:image/png;base64") -> str:
    return f"{head},{base64.b64encode(raw).decode()}"


@pytest.mark.parametrize("make", KINDS)
def test_every_format_is_known_and_measured(make: Any) -> None:
    raw = make(1234, 567)
    assert is_image(raw)
    assert size(raw) == (1234, 567)
    assert image(as_url(raw), PARAM) == base64.b64encode(raw).decode()


def test_a_bitmap_may_be_upside_down() -> None:
    assert size(bmp(5, -7)) == (5, 7)


@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64",
        "DATA:image/jpeg;charset=utf-8;name=x.png;BASE64",
        "data:;base64",
        "data:application/octet-stream; base64",
    ],
)
def test_the_head_of_a_data_url_does_not_matter(head: str) -> None:
    assert image(as_url(png(), head), PARAM) == base64.b64encode(png()).decode()


def test_base64_is_brought_into_the_form_that_ollama_reads() -> None:
    raw = png() + b"\xfb\xff\xfe"
    text = base64.b64encode(raw).decode()
    assert "+" in text or "/" in text
    spellings = [
        text.rstrip("="),
        text.replace("+", "-").replace("/", "_"),
        text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        text[:10] + "\r\n " + text[10:],
    ]
    for spelling in spellings:
        assert image("data:image/png;base64," + spelling, PARAM) == text


def test_a_data_url_without_base64_is_percent_encoded() -> None:
    escaped = "".join(f"%{byte:02x}" for byte in gif())
    assert data_url("data:image/gif," + escaped, PARAM).raw == gif()
    assert image("data:image/gif," + escaped, PARAM) == base64.b64encode(gif()).decode()


def test_an_image_from_the_web_is_taken_from_what_was_fetched() -> None:
    url, text = "https://example.com/a.png", base64.b64encode(png()).decode()
    assert image(url, PARAM, {url: text}) == text
    with pytest.raises(BadRequest, match="O2O_FETCH_IMAGES") as caught:
        image(url, PARAM, {"https://example.com/other.png": text})
    assert (caught.value.code, caught.value.param) == ("invalid_image_url", PARAM)
    with pytest.raises(BadRequest):
        image("HTTP://example.com/a.png", PARAM)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/a.png", "invalid_image_url"),
        ("", "invalid_image_url"),
        ("data:image/png;base64", "invalid_image_url"),
        ("data:image/png;base64,%%%", "invalid_base64_image"),
        ("data:image/png;base64,iVBOR", "invalid_base64_image"),
        ("data:image/png;base64,ä" + "AAA", "invalid_base64_image"),
        ("data:image/png;base64,", "empty_image_file"),
        (as_url(b"%PDF-1.7"), "invalid_image_format"),
        (as_url(b"<svg/>"), "invalid_image_format"),
        (as_url(b"RIFF\0\0\0\0WAVEfmt "), "invalid_image_format"),
    ],
)
def test_what_is_no_image_is_refused(url: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        image(url, PARAM)
    assert (caught.value.code, caught.value.param) == (code, PARAM)


@pytest.mark.parametrize(
    "raw",
    [
        *(make()[:13] for make in KINDS if make is not gif),
        gif()[:9],
        png(0, 5),
        gif(5, 0),
        bmp(-5, 5),
        webp(b"XXXX", bytes(20)),
        b"\xff\xd8\xff\xe0\x00\x02garbage" + bytes(20),
        b"\xff\xd8\xff\xe0\x00\x00",
        b"\xff\xd8\xff" + b"\xff" * 40,
        b"\xff\xd8" + b"\xff\xe0\0\0" * 10_000 + jpeg()[2:],
    ],
)
def test_an_image_without_a_readable_size_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        check_image(data(raw), PARAM)
    assert caught.value.code == "invalid_image"


@pytest.mark.parametrize("make", [png, gif, bmp, lossless, extended, jpeg])
def test_too_many_pixels_are_refused_whatever_the_format(make: Any) -> None:
    check_image(data(make(10_000, 5_000)), PARAM)
    with pytest.raises(BadRequest, match="10000 x 5001 pixels") as caught:
        check_image(data(make(10_000, 5_001)), PARAM)
    assert caught.value.code == "image_too_large"


def test_a_file_that_is_too_large_is_refused() -> None:
    for url in ("data:image/png," + "x" * (MAX_BYTES + 1), "data:;base64," + "A" * (MAX_BYTES // 3 * 4 + 8)):
        with pytest.raises(BadRequest) as caught:
            image(url, PARAM)
        assert caught.value.code == "image_file_too_large"
    assert len(from_base64("A" * (MAX_BYTES // 3 * 4), PARAM).raw) <= MAX_BYTES


@pytest.mark.parametrize("segments", [0, 1, 3, 4])
def test_a_size_is_found_however_far_behind_the_beginning_it_stands(segments: int) -> None:
    far = b"\xff\xd8" + (b"\xff\xe1\xff\xff" + bytes(0xFFFD)) * segments + jpeg(1234, 567)[2:]
    assert len(data(far).begin) < max(len(far) // 10, 100)
    check_image(data(far), PARAM)
    assert image(as_url(far), PARAM) == data(far).text
    with pytest.raises(BadRequest) as caught:
        check_image(data(far[:-10]), PARAM)
    assert caught.value.code == "invalid_image"


def test_web_addresses_are_found_in_messages_each_once() -> None:
    def part(url: Any) -> dict[str, Any]:
        return {"type": "image_url", "image_url": url}

    messages = [
        {"role": "system", "content": "text"},
        {
            "role": "user",
            "content": [part({"url": "https://a/1"}), part("http://a/2"), {"type": "text", "text": "x"}],
        },
        {"role": "user", "content": [part({"url": "https://a/1"}), part({"url": as_url(png())})]},
        {"role": "assistant", "content": None},
    ]
    assert list(web_images(messages)) == ["https://a/1", "http://a/2"]
    assert all(place.startswith("messages[") for place in web_images(messages).values())
    bare = [{"content": [{"type": "image_url", "image_url": "https://a/1"}]}]
    assert web_images(bare) == {"https://a/1": "messages[0].content[0].image_url"}
