"""Images, audio and files in messages: what reaches the model, and what is refused with its place."""

from __future__ import annotations

import base64
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.wire import chat, last, line
from tests.ollama import FakeOllama, stream, whole
from tests.raw import RawServer, read_request
from tests.server import Server


def png(width: int = 2, height: int = 2) -> bytes:
    """Return a black picture."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + b"\0\0\0" * width for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


PNG = png()
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080002000201011100ffd9")
GIF = b"GIF89a" + struct.pack("<HH", 2, 2) + b"\0\0\0;"
BMP = b"BM" + bytes(12) + struct.pack("<Iii", 40, 2, 2)
WEBP = (
    b"RIFF"
    + struct.pack("<I", 22)
    + b"WEBPVP8L"
    + struct.pack("<I", 10)
    + b"\x2f\x01\x40\x00\x00"
    + b"\0" * 5
)


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def see(server: Server, *urls: Any) -> Any:
    """Ask the model that sees about images; return the answer."""
    parts = [
        {"type": "image_url", "image_url": url if isinstance(url, dict) else {"url": url}} for url in urls
    ]
    content = [{"type": "text", "text": "What is it?"}, *parts]
    return chat(server, model="practice-vision", messages=[{"role": "user", "content": content}])


@pytest.mark.parametrize("size", [100_000, 1_000_000, 3_000_000])
def test_large_images_reach_the_model_whole_and_the_next_request_its_answer(
    server: Server, ollama: FakeOllama, size: int
) -> None:
    picture = PNG + bytes(range(256)) * (size // 256)
    urls = [f"data:image/png;base64,{encoded(one)}" for one in (picture, GIF, picture[:-1])]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    asked = {"model": "practice-vision", "messages": [{"role": "user", "content": parts}]}
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    last_words = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
        caller.sendall(head.encode() + body + last_words)
        answers = b"".join(iter(lambda: caller.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 2, answers
    (message,) = ollama.asked("/api/chat")[-1].body["messages"]
    assert [base64.b64decode(image) for image in message["images"]] == [picture, GIF, picture[:-1]]


@pytest.mark.parametrize(
    ("url", "raw"),
    [
        pytest.param(f"data:image/png;base64,{encoded(PNG)}", PNG, id="png"),
        pytest.param(f"data:image/jpeg;base64,{encoded(JPEG)}", JPEG, id="jpeg"),
        pytest.param(f"data:image/webp;base64,{encoded(WEBP)}", WEBP, id="webp"),
        pytest.param(f"data:image/gif;base64,{encoded(GIF)}", GIF, id="gif"),
        pytest.param(f"data:image/bmp;base64,{encoded(BMP)}", BMP, id="bmp"),
        pytest.param(f"data:image/png;name=a.png;base64,{encoded(PNG)}", PNG, id="with parameters"),
        pytest.param(f"data:;base64,{encoded(PNG)}", PNG, id="without a type"),
        pytest.param("data:image/png," + "".join(f"%{byte:02x}" for byte in PNG), PNG, id="not base64"),
        pytest.param(f"data:image/png;base64,{encoded(PNG).rstrip('=')}", PNG, id="without padding"),
        pytest.param(f"DATA:image/PNG;BASE64,{encoded(PNG)}", PNG, id="in capitals"),
    ],
)
def test_an_image_in_a_data_url_reaches_the_model(
    server: Server, ollama: FakeOllama, url: str, raw: bytes
) -> None:
    answer = see(server, url)
    assert answer.status == 200, answer.raw
    (message,) = ollama.asked("/api/chat")[-1].body["messages"]
    assert [base64.b64decode(image) for image in message["images"]] == [raw]
    assert message["content"] == "What is it?"
    assert f"of {len(raw)} bytes" in answer.body["choices"][0]["message"]["content"]


def test_several_images_keep_their_order(client: openai.OpenAI, ollama: FakeOllama) -> None:
    client.chat.completions.create(
        model="practice-vision",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Compare "},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{encoded(PNG)}", "detail": "low"},
                    },
                    {"type": "text", "text": "and "},
                    {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded(JPEG)}"}},
                ],
            }
        ],
    )
    (message,) = ollama.asked("/api/chat")[-1].body["messages"]
    assert message["images"] == [encoded(PNG), encoded(JPEG)]
    assert message["content"] == "Compare and "


@pytest.fixture
def asked() -> list[str]:
    """The first lines of the requests that `web` got."""
    return []


@pytest.fixture
def web(asked: list[str]) -> Iterator[str]:
    """The address of a picture on this machine."""

    def serve(connection: socket.socket, number: int) -> None:
        asked.append(read_request(connection)[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG)

    with RawServer(serve) as running:
        yield f"{running.url}/picture.png"


def test_a_picture_from_the_web_is_not_fetched(
    server: Server, ollama: FakeOllama, web: str, asked: list[str]
) -> None:
    before = len(ollama.requests)
    answer = see(server, web)
    assert (answer.status, answer.error["code"]) == (400, "invalid_image_url")
    assert answer.error["param"] == "messages[0].content[1].image_url.url"
    assert "data:image/png;base64" in answer.error["message"]
    assert (asked, len(ollama.requests)) == ([], before)


def test_where_pictures_are_fetched_none_is_fetched_from_within(
    tuned: Server, ollama: FakeOllama, web: str, asked: list[str]
) -> None:
    before = len(ollama.asked("/api/chat"))
    for url in (web, web.replace("127.0.0.1", "localhost"), web.replace("127.0.0.1", "[::ffff:127.0.0.1]")):
        answer = see(tuned, url)
        assert (answer.status, answer.error["code"]) == (400, "invalid_image_url")
        assert answer.error["param"] == "messages[0].content[1].image_url.url"
    assert (asked, len(ollama.asked("/api/chat"))) == ([], before)


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "http://localhost:11434/api/tags",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "/etc/passwd",
        "data:image/png",
        "data:image/png;base64,****",
        f"data:image/png;base64,{encoded(b'no picture at all')}",
        f"data:image/png;base64,{encoded(png(1, 1)[:20])}",
    ],
)
def test_what_is_no_image_is_refused_with_its_place(server: Server, url: str) -> None:
    fine = f"data:image/png;base64,{encoded(PNG)}"
    answer = see(server, fine, url)
    assert answer.status == 400
    assert answer.error["param"].startswith("messages[0].content[2].image_url")


def test_a_picture_too_large_for_any_memory_is_refused_by_its_header(server: Server) -> None:
    huge = bytearray(PNG)
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    answer = see(server, f"data:image/png;base64,{encoded(bytes(huge))}")
    assert answer.status == 400
    assert answer.error["param"] == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (
            {"type": "input_audio", "input_audio": {"data": encoded(b"RIFF0000WAVEfmt "), "format": "wav"}},
            "input_audio",
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
        ({"type": "file", "file": {"file_data": encoded(b"%PDF-1.7 \0"), "filename": "a.pdf"}}, "file"),
        ({"type": "file", "file": {}}, "file"),
    ],
)
def test_audio_and_files_that_the_model_cannot_read_are_refused_with_their_place(
    server: Server, part: dict[str, Any], place: str
) -> None:
    content = [{"type": "text", "text": "What is it?"}, part]
    answer = chat(server, messages=[{"role": "user", "content": content}])
    assert answer.status == 400
    assert answer.error["param"] == f"messages[0].content[1].{place}"
    assert answer.error["code"] in ("unsupported_content", "unsupported_file")


@pytest.mark.parametrize(
    ("raw", "kind"), [(b"RIFF\x24\0\0\0WAVEfmt " + bytes(16), "wav"), (b"ID3\x04\0\0\0\0\0\0", "mp3")]
)
def test_a_recording_reaches_a_model_that_hears(
    client: openai.OpenAI, ollama: FakeOllama, raw: bytes, kind: str
) -> None:
    ollama.script("/api/show", whole({"capabilities": ["completion", "audio"]}))
    ollama.script("/api/chat", stream(line("I hear."), last()))
    part: Any = {"type": "input_audio", "input_audio": {"data": encoded(raw), "format": kind}}
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    answer = client.chat.completions.create(model=f"hears-{kind}", messages=messages)
    assert answer.choices[0].message.content == "I hear."
    (message,) = ollama.asked("/api/chat")[-1].body["messages"]
    assert message == {"role": "user", "content": "What is it?", "images": [encoded(raw)]}


def test_a_text_file_is_read_to_the_model(server: Server, ollama: FakeOllama) -> None:
    file = {"file_data": f"data:text/plain;base64,{encoded(b'All is well.')}", "filename": "note.txt"}
    content = [{"type": "file", "file": file}, {"type": "text", "text": "What does it say?"}]
    assert chat(server, messages=[{"role": "user", "content": content}]).status == 200
    (message,) = ollama.asked("/api/chat")[-1].body["messages"]
    assert "All is well." in message["content"]
    assert "note.txt" in message["content"]
