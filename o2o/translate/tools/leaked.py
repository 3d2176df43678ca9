"""Text that consists of calls, in the ways in which models write them.

<tool_call>{"name": "f", "arguments": {…}}</tool_call>          Hermes, Qwen
<function=f><parameter=x>…</parameter></function>               Qwen Coder
<function=f>{…}</function>                                      Llama
<|python_tag|>{"name": "f", "parameters": {…}}                  Llama
[TOOL_CALLS][{"name": "f", "arguments": {…}}]                   Mistral
[TOOL_CALLS]f[ARGS]{…}                                          Mistral, later
{"name": "f", "arguments": {…}}, alone, in a list or fenced     any of them
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from o2o.translate.json_schema import violation
from o2o.translate.json_schema.places import resolve
from o2o.translate.tools.calls import Call
from o2o.translate.tools.plan import Offered, ToolPlan

TAGS = (
    "<tool_call>",
    "<function_call>",
    "<tools>",
    "<|tool_call|>",
    "<|python_tag|>",
    "[TOOL_CALLS]",
)
"""What stands in front of a call."""

_AROUND = re.compile(
    r"\s+|;|</?(?:tool_call|function_call|tools)>|<\|/?(?:tool_call|python_tag|eom_id|eot_id)\|>"
    r"|\[/?TOOL_CALLS\]|```\w*"
)
_FUNCTION = re.compile(r"<function=([^>\n]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(
    r"\s*<parameter=([^>\n]+)>\n?(.*?)\n?(?:</parameter>\s*|(?=<parameter=)|\Z)", re.DOTALL
)
_NAMED = re.compile(r"([A-Za-z0-9_.-]+)\s*(?:\[ARGS\])?\s*(?=\{)")
_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)

_NAME_KEYS = ("name", "tool", "tool_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")
_OTHER_KEYS = ("id", "index", "type", "tool_call_id")


class _NoCall(Exception):
    """The text is something else."""


def read_calls(text: str, plan: ToolPlan) -> list[Call]:
    """Return the calls of offered tools that the whole of `text` consists of; nothing if it is anything else."""
    try:
        return _Reader(text, plan).read()
    except _NoCall:
        return []


class _Reader:
    def __init__(self, text: str, plan: ToolPlan) -> None:
        self.text = text
        self.plan = plan
        self.at = 0
        self.calls: list[Call] = []

    def read(self) -> list[Call]:
        while self.at < len(self.text):
            around = _AROUND.match(self.text, self.at)
            if around is not None:
                self.at = around.end()
            else:
                self.payload()
        return self.calls

    def payload(self) -> None:
        match = _FUNCTION.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
            self.function(match[1].strip(), match[2])
            return
        named = _NAMED.match(self.text, self.at)
        if named is not None:
            self.at = named.end()
            self.call(named[1], self.json())
        else:
            self.value(self.json())

    def json(self) -> Any:
        """Read the object or list that begins here."""
        begin, depth = self.at, 0
        if self.text[begin] not in "{[":
            raise _NoCall
        for mark in _MARK.finditer(self.text, begin):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark[0], 0)
            if depth == 0:
                self.at = mark.end()
                return _decoded(self.text[begin : self.at])
        raise _NoCall

    def value(self, value: Any) -> None:
        """Take an object that says a call, or a list of such."""
        if isinstance(value, list):
            for item in value:
                self.value(item)
            return
        if not isinstance(value, dict):
            raise _NoCall
        if value.keys() == {"tool_calls"}:
            self.value(value["tool_calls"])
            return
        nested = value.get("function")
        if isinstance(nested, dict) and value.keys() <= {"function", *_OTHER_KEYS}:
            self.value(nested)
            return
        names = [key for key in _NAME_KEYS if key in value]
        arguments = [key for key in _ARGUMENT_KEYS if key in value]
        if len(names) != 1 or len(arguments) != 1 or len(value.keys() - {*_OTHER_KEYS}) != 2:
            raise _NoCall
        self.call(value[names[0]], value[arguments[0]])

    def call(self, name: Any, arguments: Any) -> None:
        call = self.plan.call(name, arguments)
        if call is None:
            raise _NoCall
        self.calls.append(call)

    def function(self, name: str, body: str) -> None:
        """Take a call in XML, whose arguments are text, or one object."""
        tool = self.plan.by_name.get(name)
        if tool is None:
            raise _NoCall
        if body.lstrip().startswith("{"):
            self.call(name, _decoded(body))
            return
        arguments: dict[str, Any] = {}
        at, end = 0, len(body.rstrip())
        while at < end:
            match = _PARAMETER.match(body, at)
            if match is None:
                raise _NoCall
            arguments[match[1].strip()] = _typed(match[2], match[1].strip(), tool)
            at = match.end()
        self.call(name, arguments)


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _NoCall from error


_WORDS = {"True": True, "False": False, "None": None}


def _typed(text: str, name: str, tool: Offered) -> Any:
    """Return what a text means for an argument: what its schema takes, a string first if it takes one."""
    schema = tool.parameters.get("properties", {}).get(name, {})
    if isinstance(schema, dict) and "$ref" in schema:
        schema = resolve(tool.parameters, schema["$ref"])
    try:
        value = _WORDS[text.strip()] if text.strip() in _WORDS else _decoded(text)
    except _NoCall:
        return text
    takes_text = isinstance(schema, dict) and schema.get("type") == "string"
    return text if takes_text or violation(schema, value, root=tool.parameters) else value
