from __future__ import annotations

import socket

import pytest

from o2o.practice.origins import allowed

HOSTS = [
    "",
    "localhost:11434",
    "box.local",
    "a.localhost",
    "host.docker.internal",
    "[::1]:11434",
    "192.168.1.5:1",
]


@pytest.mark.parametrize("host", [*HOSTS, "0.0.0.0", "127.0.0.1", socket.gethostname()])
def test_local_hosts_are_let_in(host: str) -> None:
    assert allowed(host, "")


@pytest.mark.parametrize("host", ["evil.example", "8.8.8.8", "localhost.evil.example:80"])
def test_other_hosts_are_not(host: str) -> None:
    assert not allowed(host, "")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "app://obsidian.md"])
def test_local_origins_are_let_in(origin: str) -> None:
    assert allowed("localhost", origin)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example"])
def test_other_origins_are_not(origin: str) -> None:
    assert not allowed("localhost", origin)
