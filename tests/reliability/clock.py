"""gunicorn's settings as they are shipped, with a wall clock that can be set: the file at JUMP says by how much.

Setting the machine's clock needs a privilege that tests have not.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from o2o import gunicorn_conf
from o2o.gunicorn_conf import *  # noqa: F403  # gunicorn reads the names of this file

_right = time.time


def _wrong() -> float:
    with contextlib.suppress(OSError, ValueError):
        return _right() + float(Path(os.environ["JUMP"]).read_text())
    return _right()


def post_worker_init(worker: Any) -> None:  # type: ignore[no-redef]  # in place of the shipped one, which it calls
    """Let the worker's wall clock go wrong."""
    gunicorn_conf.post_worker_init(worker)
    time.time = _wrong
