"""A body's tools and its choice among them become a plan, or a 400 that names the place."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.tools import Call, Offered, ToolPlan, choose

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "W", "parameters": PARAMETERS},
}
NOW = {"type": "function", "function": {"name": "now"}}
SHELL = {"type": "custom", "custom": {"name": "sh", "description": "Run it"}}
TOOLS = [WEATHER, NOW, SHELL]


def plan_of(**body: Any) -> ToolPlan:
    plan = choose(body)
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    "body", [{}, {"tools": None}, {"tools": []}, {"tool_choice": "required"}, {"tools": [], "functions": []}]
)
def test_without_tools_there_is_no_plan(body: dict[str, Any]) -> None:
    assert choose(body) is None


def test_tools_are_offered_as_they_are_described() -> None:
    plan = plan_of(tools=[WEATHER, NOW])
    assert plan == ToolPlan(
        (
            Offered("get_weather", PARAMETERS, "W", param="tools[0].function.parameters"),
            Offered("now", {"type": "object", "properties": {}}, param="tools[1].function.parameters"),
        )
    )
    assert not any(tool.strict for tool in plan.offered)


@pytest.mark.parametrize("parameters", [None, {}])
def test_missing_parameters_are_an_object_without_properties(parameters: Any) -> None:
    plan = plan_of(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
    assert plan.offered[0].parameters == {"type": "object", "properties": {}}


def test_flat_tools_and_missing_types_are_understood() -> None:
    plan = plan_of(tools=[{"type": "function", "name": "f", "strict": True}, {"function": {"name": "g"}}])
    assert [(tool.name, tool.strict) for tool in plan.offered] == [("f", True), ("g", False)]


def test_a_call_of_one_of_the_tools_can_be_demanded() -> None:
    plan = plan_of(tools=[WEATHER, NOW], parallel_tool_calls=False).demanding("now")
    assert (plan.mode, plan.parallel) == ("required", False)
    assert [tool.name for tool in plan.offered] == ["now"]


def test_a_custom_tool_is_offered_as_a_function_with_one_text() -> None:
    (tool,) = plan_of(tools=[SHELL]).offered
    assert (tool.name, tool.kind, tool.description) == ("sh", "custom", "Run it")
    assert tool.parameters["required"] == ["input"]
    assert tool.parameters["properties"]["input"]["type"] == "string"


@pytest.mark.parametrize("nested", [True, False])
def test_the_grammar_of_a_custom_tool_is_told(nested: bool) -> None:
    grammar = {"syntax": "regex", "definition": "ls|pwd"}
    form = {"type": "grammar", "grammar": grammar} if nested else {"type": "grammar", **grammar}
    (tool,) = plan_of(tools=[{"type": "custom", "name": "sh", "format": form}]).offered
    assert tool.description == "The input must match this regex grammar:\nls|pwd"
    assert tool.parameters["properties"]["input"]["pattern"] == "^(?:ls|pwd)$"


def test_a_lark_grammar_is_told_only() -> None:
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: "a"'}}
    (tool,) = plan_of(tools=[{"type": "custom", "custom": {"name": "x", "format": form}}]).offered
    assert 'start: "a"' in tool.description
    assert "pattern" not in tool.parameters["properties"]["input"]


@pytest.mark.parametrize(
    ("choice", "mode", "names"),
    [
        (None, "auto", ["get_weather", "now", "sh"]),
        ("auto", "auto", ["get_weather", "now", "sh"]),
        ("none", "none", ["get_weather", "now", "sh"]),
        ("required", "required", ["get_weather", "now", "sh"]),
        ("any", "required", ["get_weather", "now", "sh"]),
        ({"type": "any"}, "required", ["get_weather", "now", "sh"]),
        ({"type": "function", "function": {"name": "now"}}, "required", ["now"]),
        ({"function": {"name": "now"}}, "required", ["now"]),
        ({"type": "function", "name": "now"}, "required", ["now"]),
        ({"type": "tool", "name": "now"}, "required", ["now"]),
        ({"name": "now"}, "required", ["now"]),
        ({"type": "custom", "custom": {"name": "sh"}}, "required", ["sh"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [
                        {"type": "function", "function": {"name": "now"}},
                        {"type": "custom", "name": "sh"},
                    ],
                },
            },
            "auto",
            ["now", "sh"],
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "now"}]},
            "required",
            ["now"],
        ),
    ],
)
def test_the_choice_says_which_and_whether(choice: Any, mode: str, names: list[str]) -> None:
    plan = plan_of(tools=TOOLS, tool_choice=choice)
    assert plan.mode == mode
    assert [tool.name for tool in plan.offered] == names


@pytest.mark.parametrize(
    "choice",
    [
        "foo",
        5,
        {},
        {"type": "function"},
        {"type": "function", "function": {"name": "other"}},
        {"type": 5, "function": {"name": 5}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "name": "x"}]},
        },
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": ["now"]}},
    ],
)
def test_a_choice_of_nothing_known_is_refused(choice: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        choose({"tools": TOOLS, "tool_choice": choice})
    assert (caught.value.code, caught.value.param) == ("invalid_value", "tool_choice")


def test_a_wrong_mode_of_allowed_tools_is_refused_at_its_place() -> None:
    with pytest.raises(BadRequest) as caught:
        choose(
            {
                "tools": TOOLS,
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": 5, "tools": []}},
            }
        )
    assert caught.value.param == "tool_choice.allowed_tools.mode"


def test_one_call_is_the_most_without_parallel_calls() -> None:
    assert plan_of(tools=TOOLS).parallel
    assert plan_of(tools=TOOLS, parallel_tool_calls=None).parallel
    assert not plan_of(tools=TOOLS, parallel_tool_calls=False).parallel


@pytest.mark.parametrize(
    ("choice", "mode"), [(None, "auto"), ("none", "none"), ("auto", "auto"), ({"name": "now"}, "required")]
)
def test_functions_are_the_older_tools(choice: Any, mode: str) -> None:
    plan = plan_of(functions=[WEATHER["function"], NOW["function"]], function_call=choice)
    assert (plan.mode, plan.legacy, plan.parallel) == (mode, True, False)
    assert plan.by_name["now"].param == "functions[1].parameters"


def test_tools_come_before_functions() -> None:
    plan = plan_of(tools=[NOW], functions=[WEATHER["function"]], function_call="none")
    assert (plan.mode, plan.legacy, len(plan.offered)) == ("auto", False, 1)


def test_an_unknown_function_of_the_older_choice_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        choose({"functions": [NOW["function"]], "function_call": {"name": "other"}})
    assert caught.value.param == "function_call"


@pytest.mark.parametrize(
    ("tool", "param", "code"),
    [
        ({"type": "web_search"}, "tools[0].type", "invalid_value"),
        ({"type": "function", "function": {}}, "tools[0].function.name", "missing_required_parameter"),
        (
            {"type": "function", "function": {"name": ""}},
            "tools[0].function.name",
            "missing_required_parameter",
        ),
        ({"type": "function", "function": 5}, "tools[0].function.name", "missing_required_parameter"),
        ({"type": "custom"}, "tools[0].custom.name", "missing_required_parameter"),
        (
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"properties": {"a": {"type": "x"}}}},
            },
            "tools[0].function.parameters.properties.a.type",
            "invalid_function_parameters",
        ),
    ],
)
def test_a_broken_tool_is_refused_at_its_place(tool: Any, param: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        choose({"tools": [tool]})
    assert (caught.value.param, caught.value.code) == (param, code)


def test_patterns_of_tools_are_free_since_they_do_not_travel() -> None:
    schema = {"properties": {"mail": {"type": "string", "pattern": r"^(?!\.)[a-z]+$"}}}
    assert choose({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]})


PLAN = plan_of(tools=TOOLS)


@pytest.mark.parametrize(
    ("name", "arguments", "call"),
    [
        ("now", {"a": 1}, Call("now", {"a": 1})),
        ("now", None, Call("now", {})),
        ("now", '{"a": 1}', Call("now", {"a": 1})),
        ("now", "nonsense", None),
        ("now", "5", None),
        ("now", [], None),
        ("other", {}, None),
        ("other", "{}", None),
        (None, {}, None),
        (["now"], {}, None),
        ("sh", {"input": "ls"}, Call("sh", {"input": "ls"}, "custom")),
        ("sh", "ls", Call("sh", {"input": "ls"}, "custom")),
        ("sh", {"command": "ls"}, Call("sh", {"input": '{"command":"ls"}'}, "custom")),
        ("sh", None, Call("sh", {"input": ""}, "custom")),
    ],
)
def test_what_a_model_wrote_is_a_call_of_an_offered_tool_or_none(
    name: Any, arguments: Any, call: Any
) -> None:
    assert PLAN.call(name, arguments) == call


def test_of_two_tools_with_one_name_the_first_counts() -> None:
    plan = plan_of(tools=[NOW, {"type": "custom", "custom": {"name": "now"}}])
    assert plan.by_name["now"].kind == "function"
