"""The upstream: what others need of an Ollama (`Upstream`), and one over HTTP.

Ollama is always asked to stream; what a caller wants whole is folded elsewhere. Nothing here knows OpenAI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import msgspec
import requests

from o2o.pages import Bytes
from o2o.upstream.exchange import Exchange, OllamaAdapter, map_exceptions
from o2o.upstream.line import Line
from o2o.upstream.ndjson import Reply
from o2o.upstream.replies import Beat, Replies, Times, object_of, read_whole, refusal
from o2o.verbatim import encode

Path = Literal["chat", "generate"]
_LOOKUP_TIMEOUT = 10.0
"""Seconds for tags, show, ps and version, which Ollama answers at once, also while it generates."""
_encode = msgspec.json.Encoder().encode


class Batches(Protocol):
    """Replies as they come: lists of one or more, or an empty list when a beat is due; close it."""

    def __iter__(self) -> Iterator[list[Reply]]: ...
    def close(self) -> None: ...


class Upstream(Protocol):
    """An Ollama."""

    def ask(
        self,
        path: Path,
        payload: Mapping[str, Any],
        line: Line,
        *,
        patient: bool = False,
        beat: Beat | None = None,
    ) -> Batches: ...
    def embed(self, payload: Mapping[str, Any], line: Line) -> Bytes: ...
    def tags(self) -> Reply: ...
    def show(self, model: str) -> Reply: ...
    def ps(self) -> Reply: ...
    def version(self) -> Reply: ...


class HTTPUpstream:
    """One Ollama, reached over HTTP; one for each process, shared by all its requests."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        ca: str | None = None,
        times: Times | None = None,
        pool_size: int = 1000,
        user_agent: str = "o2o",
        clock: Callable[[], float] = time.monotonic,
        short_ways: bool = True,
    ) -> None:
        self._short_ways = short_ways
        self._base = base_url.rstrip("/")
        self._times = times or Times()
        self._clock = clock
        self._session = _session(api_key, ca, pool_size, user_agent)
        self._heads: dict[str, bytes] = {}
        self._pool: Any = None

    def __repr__(self) -> str:
        return f"<HTTPUpstream {urlsplit(self._base).hostname}>"

    def ask(
        self,
        path: Path,
        payload: Mapping[str, Any],
        line: Line,
        *,
        patient: bool = False,
        beat: Beat | None = None,
    ) -> Replies:
        """Send `payload` and return the replies to come; nothing is sent before they are iterated.

        `patient`: only the line's deadline bounds the silence between lines. Close the replies, whatever happens.
        """
        exchange = self._exchange(path, payload, line)
        return Replies(exchange, self._times, patient, beat, self._clock)

    def embed(self, payload: Mapping[str, Any], line: Line) -> Bytes:
        """POST /api/embed: the bytes of one object with `embeddings` and `prompt_eval_count`, not decoded."""
        exchange = self._exchange("embed", payload, line)
        return read_whole(exchange, self._times.first_byte, self._clock)

    def tags(self) -> Reply:
        """GET /api/tags: the models there are."""
        return self._lookup("GET", "tags")

    def show(self, model: str) -> Reply:
        """POST /api/show: what Ollama knows of a model; never verbose."""
        return self._lookup("POST", "show", {"model": model})

    def ps(self) -> Reply:
        """GET /api/ps: the models that are loaded, with their windows."""
        return self._lookup("GET", "ps")

    def version(self) -> Reply:
        """GET /api/version."""
        return self._lookup("GET", "version")

    def close(self) -> None:
        """Close all idle connections."""
        self._session.close()

    def _exchange(self, path: str, payload: Mapping[str, Any], line: Line) -> Exchange:
        body = encode(payload)
        head = b"%s%d\r\n\r\n" % (self._head(path), sum(map(len, body)))
        times = self._times
        return Exchange(
            self._pool,
            (head, *body),
            line,
            connect_timeout=times.connect,
            send_timeout=times.first_byte,
            short_ways=self._short_ways,
        )

    def _head(self, path: str) -> bytes:
        head = self._heads.get(path)
        if head is None:
            request = self._session.prepare_request(
                requests.Request("POST", f"{self._base}/api/{path}", data=b"{}")
            )
            adapter = self._session.get_adapter(self._base)
            assert isinstance(adapter, OllamaAdapter)
            self._pool = adapter.pool_for(request, self._session.verify or True)
            head = self._heads[path] = _render_head(request)
        return head

    def _lookup(self, method: str, path: str, payload: Mapping[str, Any] | None = None) -> Reply:
        timeout = (self._times.connect, min(_LOOKUP_TIMEOUT, self._times.first_byte))
        with map_exceptions():
            response = self._session.request(
                method,
                f"{self._base}/api/{path}",
                data=None if payload is None else _encode(payload),
                timeout=timeout,
                allow_redirects=False,
            )
        if response.status_code != 200:
            raise refusal(response.status_code, response.headers, response.content)
        return object_of(response.content)


def _session(api_key: str | None, ca: str | None, pool_size: int, user_agent: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxies and no .netrc of whoever runs the server
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers = requests.structures.CaseInsensitiveDict(
        {"User-Agent": user_agent, "Accept-Encoding": "identity", "Content-Type": "application/json"}
    )
    if api_key:
        session.headers["Authorization"] = f"Bearer {api_key}"
    if ca:
        session.verify = ca
    adapter = OllamaAdapter(pool_connections=2, pool_maxsize=pool_size, pool_block=False)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _render_head(request: requests.PreparedRequest) -> bytes:
    """Return the head up to the value of Content-Length, which comes last."""
    lines = [
        f"POST {request.path_url} HTTP/1.1",
        f"Host: {urlsplit(request.url or '').netloc.rpartition('@')[2]}",
    ]
    lines += [
        f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"
    ]
    lines.append("Content-Length: ")
    return "\r\n".join(str(line) for line in lines).encode("latin-1")
