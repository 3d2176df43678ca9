"""Tools are told to a model, as Ollama's `tools` or in words."""

from __future__ import annotations

from typing import Any

import msgspec

from o2o.translate.tools import choose, in_words, nudge, prompt_description, to_ollama
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


def test_past_calls_and_results_can_be_told_in_words() -> None:
    call = {"id": "call_1", "function": {"name": "f", "arguments": {"x": "ü"}}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [call, call]},
        {"role": "tool", "content": "one", "tool_name": "f", "tool_call_id": "call_1"},
        {"role": "tool", "content": "two", "images": ["AAAA"]},
        {"role": "assistant", "content": "Done."},
    ]
    assert in_words(messages) == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": '{"name":"f","parameters":{"x":"ü"}}\n{"name":"f","parameters":{"x":"ü"}}',
            "thinking": "Hm.",
        },
        {"role": "user", "content": "The result of `f`:\none"},
        {"role": "user", "content": "The result:\ntwo", "images": ["AAAA"]},
        {"role": "assistant", "content": "Done."},
    ]
