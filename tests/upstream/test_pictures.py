"""Fetching images: what may be fetched arrives whole, and nothing ever reaches an address that may not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from o2o.upstream.pictures import PictureError, Pictures
from o2o.upstream.public import is_public
from tests.raw import RawServer, read_request

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100_000


def _is_png(data: bytes) -> bool:
    return data.startswith(b"\x89PNG")


def answering(*pieces: bytes, hold: threading.Event | None = None) -> Callable[[socket.socket, int], None]:
    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)
        if hold is not None:
            hold.wait(5)

    return serve


def whole(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), more, body)


def port_of(server: RawServer) -> int:
    return int(server.url.rpartition(":")[2])


def loopback(server: RawServer, **how: float) -> Pictures:
    """Return a fetcher for which the test's own server is on the public Internet."""
    return Pictures(
        resolve=lambda host, port: ["127.0.0.1"],
        allowed=lambda address: address == "127.0.0.1",
        ports=(port_of(server),),
        **how,  # type: ignore[arg-type]  # numbers, as the fields are
    )


def test_an_image_arrives_whole_and_the_request_says_nothing_of_us() -> None:
    seen = []

    def serve(connection: socket.socket, number: int) -> None:
        seen.append(read_request(connection))
        connection.sendall(whole(PNG))

    with RawServer(serve) as server:
        url = f"http://pictures.example:{port_of(server)}/a/b.png?size=1"
        assert loopback(server).fetch(url, _is_png) == PNG
    first, headers, _ = seen[0]
    assert first == "GET /a/b.png?size=1 HTTP/1.1"
    assert headers["host"] == f"pictures.example:{port_of(server)}"
    assert not {"authorization", "cookie", "referer", "origin"} & headers.keys()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (whole(b"<html>"), "not an image"),
        (whole(b"", b"404 Not Found"), "does not give it"),
        (whole(b"", b"302 Found", b"Location: http://127.0.0.1/\r\n"), "does not give it"),
        (whole(PNG + b"x" * 200_000), "too large"),
        (b"nonsense\r\n\r\n", "could not be fetched"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc", "could not be fetched"),
    ],
)
def test_what_is_no_image_is_told_so(answer: bytes, reason: str) -> None:
    with RawServer(answering(answer)) as server:
        with pytest.raises(PictureError, match=reason):
            loopback(server, max_bytes=200_000).fetch(f"http://x.example:{port_of(server)}/", _is_png)


def test_a_server_that_keeps_us_waiting_is_left() -> None:
    hold = threading.Event()
    with RawServer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", hold=hold)) as server:
        with pytest.raises(PictureError):
            loopback(server, seconds=0.2).fetch(f"http://x.example:{port_of(server)}/", _is_png)
        hold.set()


@pytest.fixture
def canary() -> Iterator[RawServer]:
    """A server on loopback that nobody may reach."""
    with RawServer(answering(whole(PNG))) as server:
        yield server


LOOPBACKS = (
    "127.0.0.1 127.1 127.0.1 0 0.0.0.0 0x7f000001 0x7f.1 2130706433 017700000001 0177.0.0.1 127.000.000.001"
    " localhost LOCALHOST localhost. [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1]"
    " [::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [fe80::1] 169.254.169.254 [fd00:ec2::254] 10.0.0.1"
    " 192.168.0.1 172.16.0.1 100.64.0.1 224.0.0.1 255.255.255.255 ①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1"
    " user@127.0.0.1 user:pass@127.0.0.1 8.8.8.8@127.0.0.1 127.0.0.1#@8.8.8.8 127.0.0.1\\@8.8.8.8"
).split()


def _urls(port: int) -> list[str]:
    urls = [f"http://{host}:{port}/x.png" for host in LOOPBACKS]
    urls += [f"https://{host}:{port}/" for host in LOOPBACKS[:10]]
    urls += [
        f"ftp://127.0.0.1:{port}/",
        f"file:///etc/passwd#{port}",
        f"gopher://127.0.0.1:{port}/_GET",
        f"http:127.0.0.1:{port}",
        f"http:///127.0.0.1:{port}/",
        f"http://:{port}/",
        f"http://127.0.0.1:{port}\r\nHost: x/",
        f"http://127.0.0.1 :{port}/",
        "http://[::1/",
        "http://",
        f"http://127.0.0.1:{port}:{port}/",
        f"http://127.0.0.1%00.example:{port}/",
        f"HTTP://127.0.0.1:{port}/",
        f"http://xn--{port}-.example:{port}/",
    ]
    return urls


def test_no_spelling_of_a_private_address_reaches_it(canary: RawServer) -> None:
    port = port_of(canary)
    pictures = Pictures(seconds=2, ports=(80, 443, port))
    urls = _urls(port)
    assert len(urls) >= 60
    for url in urls:
        with pytest.raises(PictureError):
            pictures.fetch(url, _is_png)
    assert canary.connections == 0


def test_a_name_with_one_private_address_among_public_ones_is_refused(canary: RawServer) -> None:
    pictures = Pictures(resolve=lambda host, port: ["8.8.8.8", "127.0.0.1"], ports=(port_of(canary),))
    with pytest.raises(PictureError, match="not allowed"):
        pictures.fetch(f"http://x.example:{port_of(canary)}/", _is_png)
    assert canary.connections == 0


def test_a_name_that_changes_its_address_is_resolved_only_once(canary: RawServer) -> None:
    with RawServer(answering(whole(PNG))) as good:
        answers = iter([["127.0.0.1"], ["127.0.0.2"]])
        asked = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return next(answers)

        pictures = Pictures(
            resolve=resolve, allowed=lambda address: address == "127.0.0.1", ports=(port_of(good),)
        )
        assert pictures.fetch(f"http://rebind.example:{port_of(good)}/", _is_png) == PNG
        assert asked == ["rebind.example"]


@pytest.mark.parametrize("path", ["/a b.png", "/\u00e4.png", "/a.png?b=\u00df", "/a\x7f \x01"])
def test_an_address_that_is_none_is_refused_before_anybody_is_asked(path: str, canary: RawServer) -> None:
    with pytest.raises(PictureError, match="its address is malformed"):
        loopback(canary).fetch(f"http://pictures.example:{port_of(canary)}{path}", _is_png)
    assert canary.connections == 0


def test_more_images_than_may_be_fetched_at_once_wait_and_then_give_up() -> None:
    asked, go_on = threading.Semaphore(0), threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        asked.release()
        go_on.wait(10)
        return []

    def fetch() -> None:
        with pytest.raises(PictureError, match="its address is not allowed"):
            pictures.fetch("http://pictures.example/", _is_png)

    pictures = Pictures(resolve=resolve, seconds=0.2)
    others = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in others:
        thread.start()
    try:
        assert all(asked.acquire(timeout=5) for _ in others)
        with pytest.raises(PictureError, match="too many images"):
            pictures.fetch("http://pictures.example/", _is_png)
    finally:
        go_on.set()
        for thread in others:
            thread.join(10)
    fetch()  # their places are free again


def test_other_ports_are_refused(canary: RawServer) -> None:
    pictures = Pictures(resolve=lambda host, port: ["127.0.0.1"], allowed=lambda address: True)
    with pytest.raises(PictureError, match="not allowed"):
        pictures.fetch(f"http://x.example:{port_of(canary)}/", _is_png)
    assert canary.connections == 0


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(PictureError):
        Pictures(resolve=lambda host, port: []).fetch("http://x.example/", _is_png)


def test_the_default_judge_is_the_strict_one(canary: RawServer) -> None:
    assert not is_public("127.0.0.1")
    with pytest.raises(PictureError, match="not allowed"):
        Pictures(ports=(port_of(canary),)).fetch(canary.url, _is_png)
