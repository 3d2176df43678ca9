"""The address to listen on, tried with real sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from o2o import address


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port_is_no_trouble_and_stays_free() -> None:
    port = address.free_port("127.0.0.1")
    assert address.problem("127.0.0.1", port) is None
    assert address.problem("127.0.0.1", port) is None
    assert address.problem("localhost", 0) is None


def test_a_taken_port_is_told_with_the_remedy(taken: int) -> None:
    trouble = address.problem("127.0.0.1", taken)
    assert trouble is not None
    assert f"Port {taken} on 127.0.0.1 is in use." in trouble.text
    assert f"PORT={taken + 1} make run" in trouble.text
    assert not trouble.lasting


def test_a_port_that_one_address_takes_is_not_free_on_all(taken: int) -> None:
    assert address.problem("0.0.0.0", taken) is not None


def test_what_conda_sets_host_to_is_explained() -> None:
    trouble = address.problem("x86_64-conda-linux-gnu", 8000)
    assert trouble is not None
    assert trouble.lasting
    assert "conda" in trouble.text
    assert "O2O_HOST=0.0.0.0" in trouble.text


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70])
def test_a_name_that_does_not_resolve_is_told(host: str) -> None:
    trouble = address.problem(host, 8000)
    assert trouble is not None
    assert trouble.lasting
    assert f"HOST={host} is not a name or address" in trouble.text


def test_an_address_of_another_machine_is_told() -> None:
    trouble = address.problem("192.0.2.1", 8000)
    assert trouble is not None
    assert "no address of this machine" in trouble.text


@pytest.mark.parametrize(
    ("port", "error", "says"),
    [
        (65535, OSError(errno.EADDRINUSE, ""), "PORT=8001 make run"),
        (80, OSError(errno.EACCES, ""), "ports below 1024"),
        (8000, OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_every_refusal_of_the_system_has_words(port: int, error: OSError, says: str) -> None:
    assert says in address.refusal("0.0.0.0", port, error)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "o2o.localhost"])
def test_only_this_machine_reaches_loopback(host: str) -> None:
    assert address.is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "127.0.0.1.example.com"])
def test_others_reach_everything_else(host: str) -> None:
    assert not address.is_loopback(host)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
        ("gpu", "http://gpu:80"),
    ],
)
def test_a_server_on_all_addresses_is_called_on_loopback(host: str, url: str) -> None:
    assert address.url(host, 80) == url
