"""Calls that a model wrote as text are found while the text streams, and nothing else is held back."""

from __future__ import annotations

import pytest

from o2o.translate.tools import Call, Rescue
from tests.translate.tools.test_leaked import JSON, PARIS, PLAN

LEAKS = [
    JSON,
    f"\n \n{JSON}",
    f"<tool_call>\n{JSON}\n</tool_call>",
    f"<|python_tag|>{JSON}",
    f"[TOOL_CALLS] [{JSON}]",
    '[TOOL_CALLS]edit[ARGS]{"path": "a.py"}',
    '[TOOL_CALLS]edit{"path": "a.py"}',
    f"```json\n{JSON}\n```",
    f"```\n[ {JSON}]\n```",
    f"```xml\n<tool_call>\n{JSON}\n</tool_call>\n```",
    "```xml\n<tool_call><function=edit><parameter=path>a.py</parameter></function></tool_call>\n```",
    '{"parameters": {"path": "a.py"}, "name": "edit"}',
    f'{{ "type" : "function", "function": {JSON}}}',
    f'{{"function": {JSON}}}',
    '{"function": "edit", "arguments": {"path": "a.py"}}',
    "<function=edit>\n<parameter=path>\na.py\n</parameter>\n</function>\n</tool_call>",
    "<tool_call><function=edit><parameter=path>a.py</parameter></function></tool_call>",
]


def rescued(text: str, size: int) -> tuple[str, str, list[Call]]:
    rescue = Rescue(PLAN)
    said = "".join(rescue.feed(text[at : at + size]) for at in range(0, len(text), size))
    rest, calls = rescue.close()
    return said, rest, calls


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("text", LEAKS)
def test_a_leaked_call_becomes_a_call_however_it_is_cut(text: str, size: int) -> None:
    assert rescued(text, size) == ("", "", [PARIS])


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("Let me look.\n\n", JSON),
        ("Let me look.\n\n  ", JSON),
        ("Let me look. ", f"<tool_call>{JSON}</tool_call>"),
        ("a < b, see [1] and {x}.\n", f"```json\n{JSON}\n```"),
    ],
)
def test_what_stands_before_a_call_goes_through(before: str, text: str, size: int) -> None:
    assert rescued(before + text, size) == (before, "", [PARIS])


@pytest.mark.parametrize("size", [1, 5, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"name": "Ann", "age": 5}',
        '{"name": 5}',
        '{"name" "edit"}',
        "[1, 2]",
        "[]",
        "a {b} [c] <d> `e` ```f```",
        "```python\nprint(1)\n```",
        "```json\n5\n```",
        f"Say {JSON} like this",
        "<tool_call> is a tag",
        "<table><tr>",
        "[TOOL_CALLS] is a token",
        "[TOOL_CALLS]other[ARGS]{}",
        "x[TOOL",
        "x <tool",
        "  ",
        "",
        "{" + " " * 100 + '"name": "edit"}',
        '{"function": {"name": "Ann"}}',
        "<function=other>",
    ],
)
def test_other_text_goes_through_before_the_end(text: str, size: int) -> None:
    said, rest, calls = rescued(text, size)
    assert said + rest == text
    assert calls == []
    assert len(rest) < 7


@pytest.mark.parametrize("size", [1, 5, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{JSON}</tool_call> That is a call.",
        '<tool_call>{"name": "edit", "arguments": {"path": 5}}</tool_call>',
        '{"name": "edit", "arguments": {"path": "a.p',
        '{"name": "edit"}',
        '{"type": "object", "properties": {}}',
        "  <function=edit>text",
    ],
)
def test_what_begins_like_a_call_and_is_none_goes_out_as_it_was(text: str, size: int) -> None:
    assert rescued(text, size) == ("", text, [])


def test_prose_is_let_through_piece_by_piece() -> None:
    rescue = Rescue(PLAN)
    for piece in ["The ", "cat", "\n", "sat < on", " the [mat", "]. 5 > 3\n\n", "- {x}"]:
        assert rescue.feed(piece) == piece


def test_only_the_piece_in_doubt_is_held() -> None:
    rescue = Rescue(PLAN)
    assert rescue.feed("see <to") == "see "
    assert rescue.feed("ken>") == "<token>"
    assert rescue.feed("\n{") == "\n"
    assert rescue.feed('"x"}') == '{"x"}'
    assert rescue.close() == ("", [])
