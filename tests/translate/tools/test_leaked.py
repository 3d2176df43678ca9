"""Calls are read from text in the ways in which models write them, and from nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.translate.tools import Call
from o2o.translate.tools.leaked import read_calls
from tests.translate.tools.test_plan import plan_of

EDIT = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "line": {"type": "integer"},
        "flags": {"type": "array", "items": {"type": "string"}},
        "force": {"$ref": "#/$defs/Flag"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "any": True,
    },
    "$defs": {"Flag": {"type": "boolean"}},
}
PLAN = plan_of(
    tools=[
        {"type": "function", "function": {"name": "edit", "parameters": EDIT}},
        {"type": "function", "function": {"name": "now"}},
    ]
)
PARIS = Call("edit", {"path": "a.py"})
JSON = '{"name": "edit", "arguments": {"path": "a.py"}}'


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"<tool_call>\n{JSON}\n</tool_call>",
        f"<tool_call>{JSON}",
        f"<function_call>{JSON}</function_call>",
        f"<tools>\n{JSON}\n</tools>",
        f"<|tool_call|>[{JSON}]<|/tool_call|>",
        f"<|python_tag|>{JSON}<|eom_id|>",
        f"[TOOL_CALLS] [{JSON}]",
        '[TOOL_CALLS]edit[ARGS]{"path": "a.py"}',
        'edit{"path": "a.py"}',
        f"```json\n{JSON}\n```",
        f"```\n[{JSON}]\n```\n",
        '{"parameters": {"path": "a.py"}, "name": "edit"}',
        '{"name": "edit", "arguments": "{\\"path\\": \\"a.py\\"}"}',
        f'{{"type": "function", "function": {JSON}}}',
        f'{{"tool_calls": [{{"id": "c", "type": "function", "function": {JSON}}}]}}',
        '{"id": "c", "tool": "edit", "args": {"path": "a.py"}}',
        '{"type": "function", "function": "edit", "input": {"path": "a.py"}}',
        "<function=edit>\n<parameter=path>\na.py\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>\n<function=edit>\n<parameter=path>a.py</parameter></function>\n</tool_call>",
        "<function=edit><parameter=path>a.py",
        '<function=edit>{"path": "a.py"}</function>',
    ],
)
def test_a_call_is_read_in_any_of_its_forms(text: str) -> None:
    assert read_calls(text, PLAN) == [PARIS]


def test_several_calls_are_read_in_order() -> None:
    text = f'<tool_call>{JSON}</tool_call>\n<tool_call>{{"name": "now", "arguments": {{}}}}</tool_call>'
    assert read_calls(text, PLAN) == [PARIS, Call("now", {})]
    assert read_calls(f'{JSON}; {{"name": "now", "parameters": {{}}}}', PLAN) == [PARIS, Call("now", {})]
    assert read_calls("<function=now></function><function=now>\n</function>", PLAN) == [Call("now", {})] * 2


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("path", "5", "5"),
        ("path", "two\nlines", "two\nlines"),
        ("path", '{"a": 1}', '{"a": 1}'),
        ("line", "5", 5),
        ("line", "five", "five"),
        ("line", '"5"', '"5"'),
        ("flags", '["a"]', ["a"]),
        ("force", "True", True),
        ("force", "false", False),
        ("note", "None", None),
        ("note", "hello", "hello"),
        ("note", "5", "5"),
        ("any", "5", 5),
        ("unknown", "[1]", [1]),
    ],
)
def test_text_of_a_parameter_becomes_what_its_schema_takes(parameter: str, text: str, value: Any) -> None:
    written = f"<function=edit>\n<parameter={parameter}>\n{text}\n</parameter>\n</function>"
    assert read_calls(written, PLAN) == [Call("edit", {parameter: value})]


def test_parameters_that_are_not_closed_end_at_the_next() -> None:
    written = "<function=edit>\n<parameter=path>\na.py\n<parameter=line>\n3\n</function>"
    assert read_calls(written, PLAN) == [Call("edit", {"path": "a.py", "line": 3})]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "hello",
        "5",
        '"edit"',
        f"Sure: {JSON}",
        f"{JSON} Done.",
        f"<tool_call>{JSON}</tool_call> Done.",
        '{"name": "other", "arguments": {}}',
        '{"name": "edit"}',
        '{"name": "edit", "arguments": {}, "extra": 1}',
        '{"name": "edit", "tool": "edit", "arguments": {}}',
        '{"name": "edit", "arguments": {}, "parameters": {}}',
        '{"name": "edit", "arguments": [1]}',
        '{"name": "edit", "arguments": {',
        '{"name": "edit", "arguments": {"a" 1}}',
        '{"function": {"name": "now", "arguments": {}}, "name": "now"}',
        '{"tool_calls": 5}',
        "[1]",
        "[[[",
        "[" * 5000 + "]" * 5000,
        'other{"a": 1}',
        "<function=other></function>",
        "<function=edit>text</function>",
        '<function=edit>{"path": </function>',
        "<function=edit><parameter=path>a</parameter>text</function>",
    ],
)
def test_anything_else_is_no_call(text: str) -> None:
    assert read_calls(text, PLAN) == []
