"""A body whose images stay as they came gives the payload of one that is decoded as a whole."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import example, given, strategies as st

from o2o import verbatim
from o2o.body import parse
from o2o.errors import BadRequest
from o2o.translate.messages import to_ollama

GIF = b"GIF89a\x02\x00\x03\x00\0\0\0;"
_IMAGES = st.builds(
    lambda head, tail, raw: head + base64.b64encode(raw + bytes(tail)).decode(),
    st.sampled_from(["data:image/gif;base64,", "DATA:;BASE64,", "data:image/gif,", "data:a b;base64,", "x"]),
    st.integers(0, 200),
    st.sampled_from([GIF, GIF, GIF, b"BM", b""]),
)
_URLS = st.one_of(_IMAGES, _IMAGES, st.text(max_size=5), st.just("\U0010ffff0"), st.integers(0, 3))
_PARTS = st.one_of(
    st.builds(lambda url: {"type": "image_url", "image_url": url}, _URLS),
    st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, _URLS),
    st.builds(lambda text: {"type": "text", "text": text}, st.one_of(_IMAGES, st.text(max_size=5))),
)
_BODIES = st.builds(
    lambda messages, user: {"messages": [{"role": "user", "content": one} for one in messages], "user": user},
    st.lists(st.one_of(st.lists(_PARTS, max_size=4), _IMAGES), max_size=3),
    st.one_of(_IMAGES, st.none()),
)


def _whole(value: Any) -> Any:
    """Return what would have been decoded."""
    if isinstance(value, verbatim.VerbatimURL):
        return value.partition(",")[0] + "," + bytes(value.verbatim.view).decode()
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return {key: _whole(one) for key, one in value.items()} if isinstance(value, dict) else value


def _payload(body: Any) -> bytes | tuple[Any, ...]:
    try:
        return b"".join(verbatim.encode(to_ollama(body["messages"])))
    except BadRequest as error:
        return (error.message, error.code, error.param)
    except (TypeError, AttributeError):  # what validation refuses
        return ("refused",)


@given(_BODIES, st.booleans())
def test_a_cut_body_means_the_same(body: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only).encode()
    cut = verbatim.cut(raw, least=40)
    if cut is None:
        return
    short = parse(cut.rest, short_ways=False)
    if cut.put(short):
        assert _whole(short) == body
        assert _payload(short) == _payload(body)


@given(st.one_of(st.text("AZaz09+/=-_ \n", max_size=12), st.text(max_size=12)), st.integers(0, 2))
@example("AB==", 0)
@example("A===", 0)
@example("====", 0)
@example("AA=A", 0)
def test_base64_is_what_the_library_decodes(text: str, padding: int) -> None:
    text += "=" * padding
    try:
        base64.b64decode(text, validate=True)
        expected = len(text) % 4 == 0
    except ValueError:
        expected = False
    assert verbatim.is_base64(text) is expected
    if text.isascii():
        assert verbatim.is_base64(memoryview(text.encode())) is expected
