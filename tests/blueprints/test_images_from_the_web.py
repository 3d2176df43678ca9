"""Images that a message names by address: a real web server, reached by a resolver of the test's own."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from o2o.upstream.pictures import Pictures
from tests.blueprints.calling import App, app, check_envelope
from tests.cases import reply
from tests.fakes import ScriptedUpstream
from tests.raw import RawServer, Serve, read_request

PATH = "/v1/chat/completions"
HOST = "pictures.example"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 2, 3) + b"\x08\x06\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 2, 3) + b"\0\0\0;"
BMP = b"BM" + bytes(12) + struct.pack("<Iii", 40, 2, 3)
WEBP = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<I", 10) + b"\x2f\x01\x40" + bytes(7)
SEES = {"m": {"capabilities": ["completion", "vision"]}}


def served(asked: list[str]) -> Serve:
    """Return a web server's behaviour: `/png` and the like are images; it notes the paths it was asked for."""
    images = {"/png": PNG, "/gif": GIF, "/bmp": BMP, "/webp": WEBP, "/html": b"<html>", "/cut": PNG[:20]}

    def serve(connection: socket.socket, number: int) -> None:
        path = read_request(connection)[0].split(" ")[1]
        asked.append(path)
        if path == "/away":
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /png\r\nContent-Length: 0\r\n\r\n")
            return
        body = images[path.partition("?")[0]]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return serve


class Web:
    """A web server on this machine, and an app for which it is on the public Internet."""

    def __init__(
        self, server: RawServer, asked: list[str], scheme: str = "http", ca: str | None = None
    ) -> None:
        port = int(server.url.rpartition(":")[2])
        self.url = f"{scheme}://{HOST}:{port}"
        self.asked = asked
        self._pictures = Pictures(
            resolve=lambda host, port: ["127.0.0.1"] if host == HOST else [],
            allowed=lambda address: address == "127.0.0.1",
            ports=(port,),
            seconds=5,
            ca=ca,
        )

    def app(self, **settings: Any) -> App:
        """Return an app that fetches, and whose model says hello to whatever it sees."""
        script: Any = [[reply("chat", "Hello")], [reply("chat", {"done": "stop", "prompt": 5, "eval": 1})]]
        upstream = ScriptedUpstream(script, shows=SEES)
        return app(upstream, self._pictures, **{"fetch_images": True, **settings})


@pytest.fixture
def web() -> Iterator[Web]:
    asked: list[str] = []
    with RawServer(served(asked)) as server:
        yield Web(server, asked)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a key and a certificate for HOST."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += f" -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def secured(serve: Serve, folder: Path) -> Serve:
    """Return the same behaviour behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def wrapped(connection: socket.socket, number: int) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            serve(inner, number)

    return wrapped


def see(app: App, *urls: str, **more: Any) -> Any:
    """Ask about images; return the response."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [{"type": "text", "text": "What is it?"}, *parts]
    return app.post(PATH, {"model": "m", "messages": [{"role": "user", "content": content}], **more})


def seen(app: App) -> list[bytes]:
    """Return the images that Ollama was sent."""
    [(_, payload)] = app.upstream.asked
    return [base64.b64decode(image) for image in payload["messages"][-1]["images"]]


@pytest.mark.parametrize(("name", "raw"), [("png", PNG), ("gif", GIF), ("bmp", BMP), ("webp", WEBP)])
@pytest.mark.parametrize("stream", [False, True])
def test_an_image_from_the_web_reaches_the_model(web: Web, name: str, raw: bytes, stream: bool) -> None:
    app = web.app()
    response = see(app, f"{web.url}/{name}", stream=stream)
    assert response.status_code == 200, response.data
    assert b"Hello" in response.data
    assert seen(app) == [raw]
    app.check_released()


def test_an_image_behind_https_is_fetched_by_its_name_and_not_from_an_impostor(certificate: Path) -> None:
    asked: list[str] = []
    with RawServer(secured(served(asked), certificate)) as server:
        trusted = Web(server, asked, "https", str(certificate / "cert.pem"))
        app = trusted.app()
        assert see(app, f"{trusted.url}/png").status_code == 200
        assert (seen(app), asked) == ([PNG], ["/png"])
        unknown = Web(server, asked, "https")
        response = see(unknown.app(), f"{unknown.url}/png")
        assert (response.status_code, asked) == (400, ["/png"])
        assert check_envelope(response.get_json())["code"] == "invalid_image_url"


def test_the_same_image_is_fetched_once_and_order_is_kept_among_those_that_were_sent(web: Web) -> None:
    app = web.app()
    sent = "data:image/bmp;base64," + base64.b64encode(BMP).decode()
    assert see(app, f"{web.url}/gif", sent, f"{web.url}/png", f"{web.url}/gif").status_code == 200
    assert seen(app) == [GIF, BMP, PNG, GIF]
    assert web.asked == ["/gif", "/png"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("/html", "invalid_image_url"), ("/away", "invalid_image_url"), ("/cut", "invalid_image")],
)
def test_what_cannot_be_used_is_the_callers_fault_at_its_place(web: Web, path: str, code: str) -> None:
    app = web.app()
    response = see(app, f"{web.url}/png", web.url + path)
    error = check_envelope(response.get_json())
    assert (response.status_code, error["code"]) == (400, code)
    assert error["param"] == "messages[0].content[2].image_url.url"
    assert HOST not in error["message"]
    assert app.upstream.asked == []
    app.check_released()


def test_an_address_in_plain_text_is_told_at_its_place_too(web: Web) -> None:
    part = {"type": "image_url", "image_url": f"{web.url}/html"}
    response = web.app().post(PATH, {"model": "m", "messages": [{"role": "user", "content": [part]}]})
    assert check_envelope(response.get_json())["param"] == "messages[0].content[0].image_url"


def test_more_images_than_a_request_may_have_are_refused_before_one_is_fetched(web: Web) -> None:
    response = see(web.app(), *(f"{web.url}/png?{number}" for number in range(17)))
    error = check_envelope(response.get_json())
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "array_above_max_length",
        "messages",
    )
    assert web.asked == []
    assert see(web.app(), *(f"{web.url}/png?{number}" for number in range(16))).status_code == 200


def test_nothing_is_fetched_where_the_operator_does_not_want_that(web: Web) -> None:
    response = see(web.app(fetch_images=False), f"{web.url}/png")
    error = check_envelope(response.get_json())
    assert (response.status_code, error["code"]) == (400, "invalid_image_url")
    assert "O2O_FETCH_IMAGES" in error["message"]
    assert web.asked == []


def test_a_request_that_is_over_fetches_no_further_image() -> None:
    asked: list[str] = []

    def slow(connection: socket.socket, number: int) -> None:
        asked.append(read_request(connection)[0])
        time.sleep(0.5)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG)

    with RawServer(slow) as server:
        late = Web(server, asked)
        app = late.app(deadline=0.2)
        response = see(app, f"{late.url}/png?1", f"{late.url}/png?2")
    assert (response.status_code, len(asked)) == (504, 1)
    assert check_envelope(response.get_json())["code"] == "request_deadline_exceeded"
    app.check_released()
