"""What Ollama may reply, well or badly, for laws about answers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from o2o.errors import Refused
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy
from tests.cases import reply

F: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"properties": {"x": {"type": "integer"}}}},
}
G = {"type": "function", "function": {"name": "g"}}
STRICT: dict[str, Any] = {**F, "function": {**F["function"], "strict": True}}
FORM = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

TEXTS = [
    "a",
    " b",
    "\n",
    "é日🎉",
    "<",
    "<tool_call>",
    '{"name": "f", ',
    '"parameters": {"x": 1}}',
    "</tool_call>",
    '{"a": ',
    "1}",
    '"yes"',
    "So it",
    " is",
    "[ARGS]",
    "```",
]
"""Pieces that say something, begin like something else, or together make calls and JSON."""

texts = st.sampled_from(TEXTS)
calls = st.lists(
    st.sampled_from([["f", {"x": 1}], ["f", {"x": "one"}], ["g", {}], ["g", {"y": [None]}], ["no_such", {}]]),
    min_size=1,
    max_size=2,
)


@st.composite
def pieces(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the short form of one reply that is not the last."""
    kind = draw(st.sampled_from(["content", "content", "content", "thinking", "calls", "nothing", "both"]))
    if kind == "calls":
        return {"calls": draw(calls)}
    if kind == "nothing":
        return draw(st.sampled_from([{}, {"logprobs": [["¤", -1]]}]))
    text = draw(texts)
    told: dict[str, Any] = {"content": text} if kind != "thinking" else {"thinking": text}
    if kind == "both":
        told["thinking"] = draw(texts)
    # Ollama: an entry for all that was generated, thinking first; some more for text that is nowhere.
    told["logprobs"] = [[told[part], -0.5] for part in ("thinking", "content") if part in told]
    return told


@st.composite
def answers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw all replies of one good answer."""
    last = draw(st.one_of(st.just({}), pieces()))
    last["done"] = draw(st.sampled_from(["stop", "stop", "stop", "length"]))
    last |= {"prompt": draw(st.integers(0, 9)), "eval": draw(st.integers(0, 30))}
    return [reply("chat", one) for one in [*draw(st.lists(pieces(), max_size=6)), last]]


requests = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.sampled_from([[F], [F, G], [STRICT], [STRICT, G]]),
        "tool_choice": st.sampled_from(
            ["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]
        ),
        "parallel_tool_calls": st.booleans(),
        "response_format": st.sampled_from(
            [
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "s", "schema": FORM}},
                {"type": "json_schema", "json_schema": {"name": "s", "schema": FORM, "strict": True}},
            ]
        ),
        "guided_choice": st.just(["yes", "no"]),
        "logprobs": st.booleans(),
        "think": st.booleans(),
        "max_tokens": st.just(30),
        "include_reasoning": st.booleans(),
        "messages": st.just([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "So it"}]),
    },
)
"""What a caller may want beside an answer."""

policies = st.builds(
    Policy,
    reasoning=st.sampled_from(["both", "reasoning", "tags", "hide"]),
    tool_rescue=st.booleans(),
    tools_fallback=st.sampled_from(["error", "prompt"]),
    merge_roles=st.sampled_from(["auto", "always", "never"]),
)
facts = st.sampled_from(
    [
        None,
        Facts(),
        Facts(capabilities=frozenset({"completion", "tools", "thinking"}), way="native"),
        Facts(capabilities=frozenset({"completion"}), way="rendered"),
        Facts(capabilities=frozenset({"completion", "tools", "thinking"}), harmony=True),
    ]
)
refusals = st.sampled_from(
    [
        Refused(404, "model 'm' not found"),
        Refused(400, "Jinja Exception: roles must alternate"),
        Refused(
            400, "request (5024 tokens) exceeds the available context size (4096 tokens), try increasing it"
        ),
        Refused(
            500, 'llama-server returned invalid tool call arguments for "f": unexpected end of JSON input'
        ),
        Refused(500, "error parsing tool call"),
        Refused(503, "server busy, please try again.  maximum pending requests exceeded"),
    ]
)


def body(request: dict[str, Any]) -> dict[str, Any]:
    """Return a whole chat body."""
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **request}
