from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from o2o.practice.gojson import encode, kind, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10
)


@given(VALUES)
def test_what_is_written_can_be_read(value: object) -> None:
    written = encode(value)
    assert json.loads(written) == parse(written) == value
    assert not set(b"<>&") & set(written)


@pytest.mark.parametrize(
    ("value", "name"),
    [("", "string"), (1, "number"), (1.5, "number"), (True, "bool"), ([], "array"), ({}, "object")],
)
def test_kinds_have_go_s_names(value: object, name: str) -> None:
    assert kind(value) == name
