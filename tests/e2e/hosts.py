"""Servers of other kinds than gunicorn, each in a process of its own."""

from __future__ import annotations

import re

from tests.server import Server

URL = re.compile(r"(?:Listening at:|Running on|Serving on) (http://127\.0\.0\.1:\d+)")

_WSGIREF = """
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
from wsgiref.validate import validator

{imports}

class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

assert "gevent" not in sys.modules, "a plain host is not made cooperative"
server = make_server("127.0.0.1", 0, {application}, Threaded)
print(f"Serving on http://127.0.0.1:{{server.server_port}}", flush=True)
server.serve_forever()
"""


class Host(Server):
    """A server of any kind that says where it listens."""

    def __enter__(self) -> Host:
        match = URL.search(self.await_log(URL.search, "listening"))
        assert match is not None
        self.url = match[1]
        return self


def wsgiref(application: str = "application", imports: str = "from wsgi import application") -> list[str]:
    """Return how to call Python so that the standard library's WSGI server serves, with threads."""
    return ["-c", _WSGIREF.format(application=application, imports=imports)]
