"""Calls that a caller demands: a grammar makes the content be one."""

from __future__ import annotations

from typing import Any

import msgspec

from o2o.translate.json_schema import violation
from o2o.translate.json_schema.grammar import Grammar
from o2o.translate.tools.calls import Call
from o2o.translate.tools.leaked import read_calls
from o2o.translate.tools.plan import Offered, ToolPlan


def forced_format(plan: ToolPlan) -> dict[str, Any]:
    """Return the schema that only a call of one of the plan's tools fits; raises BadRequest.

    The keys are `name` and `parameters`, since Ollama's native path sorts them and the name has to come first.
    """
    grammar = Grammar()
    calls = [_call_schema(tool, grammar) for tool in plan.offered]
    return grammar.closed(calls[0] if len(calls) == 1 else {"anyOf": calls})


def _call_schema(tool: Offered, grammar: Grammar) -> dict[str, Any]:
    parameters = grammar.part(
        {**tool.parameters, "type": "object"},
        tool.param,
        subject=f"function '{tool.name}'",
        code="invalid_function_parameters",
        lenient=True,
    )
    return {
        "type": "object",
        "properties": {"name": {"enum": [tool.name]}, "parameters": parameters},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def read_forced(text: str, plan: ToolPlan) -> list[Call]:
    """Return the calls that constrained content consists of; nothing if it is anything else."""
    return read_calls(text, plan)


def shown_call(call: Call) -> str:
    """Return a call as the constrained content that it would have been."""
    return msgspec.json.encode({"name": call.name, "parameters": call.arguments}).decode()


def check_arguments(call: Call, plan: ToolPlan) -> str | None:
    """Return how a call's arguments break the schema of its tool, or None."""
    tool = plan.by_name.get(call.name)
    return None if tool is None else violation(tool.parameters, call.arguments)
