from __future__ import annotations

import os
import re

from o2o.ids import new_id


def test_an_id_has_its_prefix_and_its_length() -> None:
    assert re.fullmatch("req_[0-9a-f]{32}", new_id("req_", 32))
    assert re.fullmatch("call_[0-9a-f]{24}", new_id("call_"))


def test_ids_differ() -> None:
    assert len({new_id("x") for _ in range(10_000)}) == 10_000


def test_two_processes_do_not_make_the_same_ids() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, new_id("").encode())
        os._exit(0)
    mine = new_id("")
    theirs = os.read(reading, 24).decode()
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    assert mine != theirs
