"""Tools are told to a model, as Ollama's `tools` or in words."""

from __future__ import annotations

import msgspec

from o2o.translate.tools import choose, nudge, prompt_description, to_ollama
from tests.translate.tools.test_plan import NOW, PARAMETERS, SHELL, TOOLS, WEATHER, plan_of


def test_tools_go_to_ollama_with_flat_parameters() -> None:
    strict = {
        "type": "function",
        "function": {"name": "now", "description": "", "strict": True, "parameters": None},
    }
    assert to_ollama(plan_of(tools=[WEATHER, strict])) == [
        {
            "type": "function",
            "function": {"name": "get_weather", "description": "W", "parameters": PARAMETERS},
        },
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]


def test_nothing_is_offered_where_nothing_may_be_called() -> None:
    plan = plan_of(tools=TOOLS, tool_choice="none")
    assert to_ollama(plan) == []
    assert prompt_description(plan) == ""


def test_only_what_is_allowed_is_offered() -> None:
    plan = plan_of(tools=TOOLS, tool_choice={"name": "sh"})
    assert [tool["function"]["name"] for tool in to_ollama(plan)] == ["sh"]


def described(**body: object) -> list[str]:
    plan = choose(body)
    assert plan is not None
    return prompt_description(plan).split("\n")


def test_the_description_has_one_json_object_a_tool() -> None:
    lines = described(tools=TOOLS)
    assert [msgspec.json.decode(line)["name"] for line in lines[1:4]] == ["get_weather", "now", "sh"]
    assert '{"name": …, "parameters": {…}}' in lines[-1]
    assert "Otherwise answer in words" in lines[-1]


def test_a_demanded_call_is_asked_for_by_name() -> None:
    one = plan_of(tools=TOOLS, tool_choice={"name": "now"})
    assert nudge(one).startswith("Call the function `now` now.")
    assert prompt_description(one).endswith(nudge(one))
    several = plan_of(tools=[NOW, SHELL], tool_choice="required")
    assert nudge(several).startswith("Call one of the functions `now`, `sh` now.")
