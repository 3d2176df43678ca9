"""Fetch images from the web for models that see, without becoming somebody's way into this network.

Theory of operation: a name is resolved once, every address it has must be public, and the connection goes to
the very address that was judged, with the name only in Host and in TLS. Nothing is redirected, nothing of this
machine's environment (proxies, .netrc) or of the caller's request is sent along. Bytes and time are bounded, and
the first bytes must be those of an image.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from o2o.upstream.public import is_public

MAX_BYTES = 20 * 1024 * 1024
SECONDS = 10.0
_AT_ONCE = 8
_PIECE = 64 * 1024
_PORTS = (80, 443, 8080, 8443)

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a name."""


class PictureError(Exception):
    """An image that cannot be fetched; the text is for the caller and names no address."""


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Pictures:
    """Fetches images; one for each process, a few at a time."""

    def __init__(
        self,
        *,
        resolve: Resolve = _resolve,
        allowed: Callable[[str], bool] = is_public,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
        ports: tuple[int, ...] = _PORTS,
        ca: str | None = None,
    ) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._ports = ports
        self._ca = ca
        self._slots = threading.Semaphore(_AT_ONCE)

    def fetch(self, url: str, looks_right: Callable[[bytes], bool]) -> bytes:
        """Return the bytes behind an http(s) URL; raises PictureError.

        `looks_right` sees the bytes and says whether they are an image.
        """
        until = time.monotonic() + self._seconds
        if not self._slots.acquire(timeout=self._seconds):
            raise PictureError("too many images are being fetched at the moment")
        try:
            data = self._fetch(url, until)
        except (HTTPError, OSError, UnicodeError, ValueError) as error:
            raise PictureError("it could not be fetched") from error
        finally:
            self._slots.release()
        if not looks_right(data):
            raise PictureError("it is not an image")
        return data

    def _fetch(self, url: str, until: float) -> bytes:
        parts = urlsplit(url)
        host, scheme = parts.hostname or "", parts.scheme.lower()
        port = parts.port or (443 if scheme == "https" else 80)
        if (
            scheme not in ("http", "https")
            or not host
            or parts.username is not None
            or port not in self._ports
        ):
            raise PictureError("its address is not allowed")
        address = self._judged(host, port)
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        if not path.isascii() or any(character <= " " for character in path):
            raise PictureError("its address is malformed")
        name = f"[{host}]" if ":" in host else host
        own_port = port in (80, 443)
        headers = {"Host": name if own_port else f"{name}:{port}", "User-Agent": "o2o", "Accept": "image/*"}
        with contextlib.closing(self._pool(scheme, host, address, port, until)) as pool:
            response = pool.urlopen(
                "GET",
                path,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                assert_same_host=False,
            )
            with contextlib.closing(response):
                if response.status != 200:
                    raise PictureError("its server does not give it")
                return b"".join(self._pieces(response, until))

    def _judged(self, host: str, port: int) -> str:
        """Return the address to connect to; every address of the name must be allowed."""
        addresses = self._resolve(host.encode("idna").decode("ascii"), port)
        if not addresses or not all(self._allowed(address) for address in addresses):
            raise PictureError("its address is not allowed")
        return addresses[0]

    def _pool(self, scheme: str, host: str, address: str, port: int, until: float) -> HTTPConnectionPool:
        timeout = Timeout(total=max(0.1, until - time.monotonic()))
        if scheme == "http":
            return HTTPConnectionPool(address, port, timeout=timeout, maxsize=1)
        return HTTPSConnectionPool(
            address,
            port,
            timeout=timeout,
            maxsize=1,
            cert_reqs="CERT_REQUIRED",
            ca_certs=self._ca or DEFAULT_CA_BUNDLE_PATH,
            server_hostname=host,
            assert_hostname=host,
        )

    def _pieces(self, response: Any, until: float) -> Iterator[bytes]:
        size = 0
        while True:
            piece: bytes = response.read(_PIECE)
            if not piece:
                return
            size += len(piece)
            if size > self._max_bytes:
                raise PictureError("it is too large")
            if time.monotonic() > until:
                raise PictureError("it takes too long")
            yield piece
