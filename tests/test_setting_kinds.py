"""Kinds of settings: a law for those that have a text form; single cases stand in test_config."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from o2o import setting_kinds as kinds

ALL = (
    kinds.text(),
    kinds.secret(),
    kinds.secrets_list(),
    kinds.origins(),
    kinds.host_names(),
    kinds.flag(),
    kinds.whole(),
    kinds.seconds(),
    kinds.choice("one", "two"),
    kinds.address(),
    kinds.base_url(),
    kinds.ollama_host(),
)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@given(raw=st.text(min_size=1) | st.from_regex(r"[a-z0-9:/.\[\]@?#,-]{1,30}", fullmatch=True))
def test_any_text_is_read_or_refused_with_half_a_sentence(kind: kinds.Kind, raw: str) -> None:
    complaint = None
    try:
        kind.read(raw)
    except ValueError as error:
        complaint = error
    assert complaint is None or (type(complaint) is ValueError and str(complaint))


@pytest.mark.parametrize("kind", [kinds.base_url(), kinds.ollama_host()], ids=lambda kind: kind.name)
@given(raw=st.from_regex(r"(https?://)?[a-z0-9.]{1,12}(:[0-9]{1,5})?(/[a-z]{0,4})?", fullmatch=True))
def test_what_was_read_as_a_url_reads_as_itself(kind: kinds.Kind, raw: str) -> None:
    try:
        url = kind.read(raw)
    except ValueError:
        return
    assert url.startswith("http")
    assert kinds.base_url().read(url) == url


@given(st.floats(0.001, 1_000_000).map(lambda number: round(number, 3)))
def test_seconds_are_exact(number: float) -> None:
    assert kinds.seconds().read(f"{number:.3f}") == number
