"""Which tools a body offers for this turn, and whether one of them must be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from o2o.errors import BadRequest, clip
from o2o.translate.json_schema import check_bounds
from o2o.translate.tools.calls import Call, Kind
from o2o.translate.tools.remembered import is_sound

Mode = Literal["none", "auto", "required"]

_MODES: dict[str, Mode] = {"none": "none", "auto": "auto", "required": "required", "any": "required"}
"""Mistral's and LangChain's `any` is OpenAI's `required`."""

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Offered:
    """A tool as the caller describes it; `parameters` is the schema of its arguments, as it came."""

    name: str
    parameters: dict[str, Any]
    description: str = ""
    kind: Kind = "function"
    strict: bool = False
    param: str = ""
    """Where its schema stands in the body."""


@dataclass(frozen=True)
class ToolPlan:
    """The tools of one turn: those the model may call, whether it must, and how calls are answered.

    With mode `none` nothing is offered, and calls that come all the same are to be dropped. Where the caller
    allowed some of its tools only, `offered` holds no others. Without `parallel` one call is the most. `legacy`
    calls are answered as `function_call`.
    """

    offered: tuple[Offered, ...]
    mode: Mode = "auto"
    parallel: bool = True
    legacy: bool = False
    by_name: Mapping[str, Offered] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {tool.name: tool for tool in reversed(self.offered)})

    def demanding(self, name: str) -> ToolPlan:
        """Return the plan of a turn in which the tool called `name` has to be called."""
        return replace(self, offered=(self.by_name[name],), mode="required")

    def call(self, name: Any, arguments: Any) -> Call | None:
        """Return what a model wrote as a call; None if the tool is not offered or the arguments are none."""
        tool = self.by_name.get(name) if isinstance(name, str) else None
        if isinstance(arguments, str) and (tool is None or tool.kind == "function"):
            arguments = _decoded(arguments)
        elif arguments is None:
            arguments = {}
        if tool is not None and tool.kind == "custom":
            arguments = {"input": _text(arguments)}
        if tool is None or not isinstance(arguments, dict):
            return None
        return Call(tool.name, arguments, tool.kind)


def choose(body: Mapping[str, Any]) -> ToolPlan | None:
    """Return the plan of a body's tools, or None if it has none; raises BadRequest.

    `functions` and `function_call` count where there are no `tools`. Custom tools are offered as functions with
    one argument, `input`.
    """
    tools, functions = body.get("tools"), body.get("functions")
    if tools:
        offered = [_offered(tool, f"tools[{number}]") for number, tool in enumerate(tools)]
        mode, only = _choice(body.get("tool_choice"), offered)
        parallel = body.get("parallel_tool_calls") is not False
        old = False
    elif functions:
        offered = [_function(item, f"functions[{n}]") for n, item in enumerate(functions)]
        mode, only = _choice(body.get("function_call"), offered, "function_call")
        parallel, old = False, True
    else:
        return None
    if only is not None:
        offered = [tool for tool in offered if tool.name in only]
    return ToolPlan(tuple(offered), mode, parallel, old)


# --- one tool


def _offered(tool: Mapping[str, Any], param: str) -> Offered:
    kind = tool.get("type", "function")
    if kind == "function":
        # Flat tools, as the Responses API has them, are sent here too.
        nested = tool.get("function")
        return _function(nested, f"{param}.function") if nested is not None else _function(tool, param)
    if kind != "custom":
        message = f"Invalid value: '{clip(str(kind))}'. Supported values are: 'function' and 'custom'."
        raise BadRequest(message, code="invalid_value", param=f"{param}.type")
    nested = tool.get("custom")
    return _custom(nested if nested is not None else tool, param)


def _name(item: Any, param: str) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    if not isinstance(name, str) or not name:
        message = f"Missing required parameter: '{param}.name'."
        raise BadRequest(message, code="missing_required_parameter", param=f"{param}.name")
    return name


def _function(item: Any, param: str) -> Offered:
    name = _name(item, param)
    parameters = item.get("parameters")
    place = f"{param}.parameters"
    if parameters:
        # Patterns do not travel with tools: `flatten` drops them, and a grammar takes only those it can say.
        if not is_sound(msgspec.json.encode(parameters)):
            subject = f"function '{clip(name, 64)}'"
            check_bounds(
                parameters, place, subject=subject, code="invalid_function_parameters", patterns=False
            )
    description = item.get("description")
    return Offered(
        name=name,
        parameters=parameters or _NO_PARAMETERS,
        description=description if isinstance(description, str) else "",
        strict=item.get("strict") is True,
        param=place,
    )


def _custom(item: Any, param: str) -> Offered:
    """Offer a custom tool as a function with one string argument."""
    name = _name(item, f"{param}.custom")
    told = [item["description"]] if isinstance(item.get("description"), str) else []
    text: dict[str, Any] = {"type": "string", "description": "The whole input of the tool, as free text."}
    form = item.get("format")
    form = form if isinstance(form, Mapping) else {}
    nested = form.get("grammar")
    grammar = nested if isinstance(nested, Mapping) else form
    definition, syntax = grammar.get("definition"), grammar.get("syntax")
    if isinstance(definition, str):
        told.append(f"The input must match this {syntax} grammar:\n{definition}")
        if syntax == "regex":
            text["pattern"] = f"^(?:{definition})$"
    parameters = {
        "type": "object",
        "properties": {"input": text},
        "required": ["input"],
        "additionalProperties": False,
    }
    return Offered(name, parameters, "\n\n".join(told), kind="custom", param=f"{param}.custom")


# --- the choice among them


def _choice(
    choice: Any, offered: Sequence[Offered], param: str = "tool_choice"
) -> tuple[Mode, frozenset[str] | None]:
    """Return the mode, and the names that are allowed if not all are."""
    if choice is None:
        return "auto", None
    if isinstance(choice, str):
        return _mode(choice, param), None
    if not isinstance(choice, Mapping):
        raise _invalid(param, f"Invalid type for '{param}': expected a string or an object.")
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _allowed(choice, offered, param)
    if isinstance(kind, str) and kind in _MODES:
        return _MODES[kind], None
    nested = choice.get(kind) if isinstance(kind, str) else choice.get("function")
    name = nested.get("name") if isinstance(nested, Mapping) else choice.get("name")
    if not isinstance(name, str):
        raise _invalid(param, f"Invalid value for '{param}': it names no tool.")
    return "required", frozenset([_known(name, offered, param)])


def _allowed(
    choice: Mapping[str, Any], offered: Sequence[Offered], param: str
) -> tuple[Mode, frozenset[str]]:
    nested = choice.get("allowed_tools")
    spec = nested if isinstance(nested, Mapping) else choice
    mode = _mode(spec.get("mode", "auto"), f"{param}.allowed_tools.mode")
    names = []
    tools = spec.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        entry = tool if isinstance(tool, Mapping) else {}
        inner = entry.get(str(entry.get("type", "function")))
        names.append((inner if isinstance(inner, Mapping) else entry).get("name"))
    if not names:
        raise _invalid(param, f"Invalid value for '{param}': it allows no tool.")
    return mode, frozenset(_known(name, offered, param) for name in names)


def _mode(word: Any, param: str) -> Mode:
    mode = _MODES.get(word) if isinstance(word, str) else None
    if mode is None:
        known = "'none', 'auto', and 'required'"
        raise _invalid(param, f"Invalid value: '{clip(str(word), 64)}'. Supported values are: {known}.")
    return mode


def _known(name: Any, offered: Sequence[Offered], param: str) -> str:
    if not any(tool.name == name for tool in offered):
        raise _invalid(param, f"Tool choice '{clip(str(name), 64)}' not found in the tools of the request.")
    return str(name)


def _invalid(param: str, message: str) -> BadRequest:
    return BadRequest(message, code="invalid_value", param=param)


# --- arguments


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _text(arguments: Any) -> str:
    if isinstance(arguments, dict) and isinstance(arguments.get("input"), str):
        return str(arguments["input"])
    if not arguments:
        return ""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
