from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from o2o.errors import UpstreamInvalid
from o2o.upstream import ndjson
from o2o.upstream.ndjson import Splitter

replies = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "response": st.text(max_size=10),
            "thinking": st.none() | st.text(max_size=10),
            "message": st.fixed_dictionaries({}, optional={"content": st.text(max_size=10)}),
            "error": st.text(max_size=4) | st.integers() | st.lists(st.booleans(), max_size=2),
            "eval_count": st.integers(0, 2**63 - 1),
            "done": st.booleans(),
        },
    ),
    max_size=6,
)


@given(replies, st.data(), st.booleans())
def test_replies_do_not_depend_on_where_bytes_are_cut(
    sent: list[dict[str, Any]], data: st.DataObject, ascii_only: bool
) -> None:
    body = b"".join(json.dumps(reply, ensure_ascii=ascii_only).encode() + b"\n" for reply in sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=12)) | {0, len(body)})
    splitter = Splitter()
    got = [reply for a, b in zip(cuts, cuts[1:], strict=False) for reply in splitter.feed(body[a:b])]
    assert got + splitter.close() == sent
    assert splitter.error is None


def test_only_a_line_feed_ends_a_line() -> None:
    splitter = Splitter()
    body = '{"response":"x\u2028y\u0085z"}\n'.encode()
    assert splitter.feed(body) == [{"response": "x\u2028y\u0085z"}]


def test_what_came_before_a_broken_line_is_given_first() -> None:
    splitter = Splitter()
    assert splitter.feed(b'{"eval_count":1}\n\nnot json\n{"b":2}\n') == [{"eval_count": 1}]
    assert isinstance(splitter.error, UpstreamInvalid)


@pytest.mark.parametrize(
    "line", ['{"message":5}', '{"message":{"content":5}}', '{"done":"yes"}', '{"eval_count":1.5}']
)
def test_a_field_of_another_type_is_invalid(line: str) -> None:
    splitter = Splitter()
    assert splitter.feed(line.encode() + b"\n") == []
    assert isinstance(splitter.error, UpstreamInvalid)


def test_fields_that_nobody_reads_are_left_out() -> None:
    assert Splitter().feed(b'{"model":"m","created_at":"now","done":false,"new":{"a":[1]}}\n') == [
        {"done": False}
    ]


def test_a_line_that_is_no_object_is_invalid() -> None:
    splitter = Splitter()
    assert splitter.feed(b"[1]\n") == []
    assert isinstance(splitter.error, UpstreamInvalid)


@pytest.mark.parametrize("space", [b"", b" ", b"\r", b"\t", b"\x0b", b"\x0c"])
def test_lines_of_white_space_are_nothing(space: bytes) -> None:
    splitter = Splitter()
    assert splitter.feed(space + b'\n{"done":false}\n' + space + b'\n{"done":true}\n') == [
        {"done": False},
        {"done": True},
    ]
    assert splitter.error is None


def test_invalid_utf8_is_invalid() -> None:
    splitter = Splitter()
    assert splitter.feed(b'{"response":"\xff"}\n') == []
    assert splitter.error is not None


def test_a_last_line_without_an_end_counts_if_it_is_whole() -> None:
    splitter = Splitter()
    splitter.feed(b'{"done":true}')
    assert splitter.close() == [{"done": True}]


def test_a_last_line_that_was_cut_is_nothing() -> None:
    splitter = Splitter()
    splitter.feed(b'{"done":tr')
    assert splitter.close() == []
    assert splitter.error is None


def test_a_line_may_not_grow_for_ever() -> None:
    splitter = Splitter()
    piece = b"x" * (1024 * 1024)
    for _ in range(ndjson.MAX_LINE // len(piece) + 1):
        assert splitter.feed(piece) == []
    assert splitter.error is not None
