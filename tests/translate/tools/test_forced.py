"""A demanded call is what a grammar makes of the content."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from o2o.errors import BadRequest
from o2o.translate.json_schema import violation
from o2o.translate.tools import Call, check_arguments, forced_format, read_forced
from tests.replay import load
from tests.translate.tools.test_plan import NOW, PARAMETERS, SHELL, TOOLS, WEATHER, plan_of


def call_schema(name: str, parameters: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"enum": [name]}, "parameters": parameters},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def test_one_tool_is_demanded_by_its_own_schema() -> None:
    found = forced_format(plan_of(tools=TOOLS, tool_choice={"name": "get_weather"}))
    assert found == call_schema("get_weather", PARAMETERS)
    assert list(found["properties"]) == ["name", "parameters"]


def test_several_tools_are_a_choice() -> None:
    found = forced_format(plan_of(tools=[WEATHER, NOW], tool_choice="required"))
    now = call_schema("now", {"type": "object", "properties": {}})
    assert found == {"anyOf": [call_schema("get_weather", PARAMETERS), now]}


def function(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_definitions_of_tools_do_not_mix() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 1}}}
    other = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 2}}}
    found = forced_format(plan_of(tools=[function("f", schema), function("g", other)], tool_choice="any"))
    assert violation(found, {"name": "f", "parameters": {"a": 1}}) is None
    assert violation(found, {"name": "g", "parameters": {"a": 2}}) is None
    assert violation(found, {"name": "g", "parameters": {"a": 1}}) is not None


def test_parameters_are_always_demanded_as_an_object() -> None:
    tool = function(
        "f", {"type": ["object", "null"], "properties": {"a": {"type": "string", "pattern": "(?=a)"}}}
    )
    found = forced_format(plan_of(tools=[tool], tool_choice="any"))
    assert found["properties"]["parameters"] == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_a_tool_that_can_never_be_called_is_refused_when_demanded() -> None:
    tool = function("f", {"type": "object", "properties": {"a": False}, "required": ["a"]})
    with pytest.raises(BadRequest) as caught:
        forced_format(plan_of(tools=[tool], tool_choice="any"))
    assert caught.value.param == "tools[0].function.parameters"
    assert caught.value.code == "invalid_function_parameters"


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"name": "now", "parameters": {}}', [Call("now", {})]),
        ('\n{"arguments": {"city": "P"}, "name": "get_weather"} ', [Call("get_weather", {"city": "P"})]),
        ('[{"name": "now", "arguments": {}}, {"name": "now", "parameters": {}}]', [Call("now", {})] * 2),
        ('{"name": "sh", "parameters": {"input": "ls"}}', [Call("sh", {"input": "ls"}, "custom")]),
        ('{"name": "other", "parameters": {}}', []),
        ('{"name": "now", "param', []),
        ("", []),
        ("I would rather not.", []),
    ],
)
def test_constrained_content_is_read_as_calls(text: str, calls: list[Call]) -> None:
    assert read_forced(text, plan_of(tools=TOOLS)) == calls


@pytest.mark.parametrize(
    "name", ["jinja-tools-forced-name-parameters", "tools-forced-name-parameters", "tools-forced-anyof"]
)
def test_recorded_content_is_read_as_calls(name: str) -> None:
    exchange = load(f"08-tools-and-format/{name}")["exchanges"][0]
    replies = [msgspec.json.decode(line) for _, line in exchange["response"]["body"]]
    text = "".join(reply["message"]["content"] for reply in replies)
    plan = plan_of(tools=msgspec.json.decode(exchange["request"]["body"])["tools"])
    (call,) = read_forced(text, plan)
    assert call.name == "get_weather"
    assert call.arguments["city"] == "Paris"
    assert check_arguments(call, plan) is None


def test_arguments_are_held_against_the_schema_of_their_tool() -> None:
    plan = plan_of(tools=[WEATHER, SHELL])
    assert check_arguments(Call("get_weather", {"city": "Paris"}), plan) is None
    assert check_arguments(Call("get_weather", {"city": 1}), plan) == "city: must be of type string"
    assert check_arguments(Call("get_weather", {}), plan) == "'city' is missing"
    assert check_arguments(Call("other", {}), plan) is None
