"""Laws of callers' schemas, of tools told to Ollama, and of calls written as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import assume, given, settings, strategies as st
from jsonschema import Draft202012Validator

from o2o.errors import BadRequest
from o2o.translate.json_schema import check_bounds, for_grammar, violation
from o2o.translate.json_schema.patterns import Unsayable, anchored
from o2o.translate.tools import Call, Rescue, ToolPlan, choose
from o2o.translate.tools.flatten import flatten

NAMES = st.sampled_from(["a", "b", "c", "é x"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, -0.5, 1.0, 2.5])
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "b", "é", "abc"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
COUNTS = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas of at most four keywords: with more hardly any value fits."""
    some = st.lists(inner, min_size=1, max_size=3)
    contents: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "additionalProperties": inner,
        "items": inner,
        "prefixItems": some,
        "minItems": COUNTS,
        "maxItems": COUNTS,
        "uniqueItems": st.booleans(),
        "minLength": COUNTS,
        "maxLength": COUNTS,
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "exclusiveMinimum": NUMBERS,
        "exclusiveMaximum": NUMBERS,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minProperties": COUNTS,
        "maxProperties": COUNTS,
        "anyOf": some,
        "oneOf": some,
        "allOf": some,
        "not": inner,
    }
    pairs = [st.tuples(st.just(name), content) for name, content in contents.items()]
    return st.lists(st.one_of(pairs), max_size=4).map(dict)


SCHEMAS = st.recursive(
    st.booleans() | st.just({}) | TYPES.map(lambda kind: {"type": kind}), keywords, max_leaves=6
)
OBJECTS = keywords(SCHEMAS)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, VALUES)
def test_a_violation_is_claimed_exactly_where_jsonschema_sees_one(schema: Any, value: Any) -> None:
    assert (violation(schema, value) is None) == Draft202012Validator(schema).is_valid(value)


KEPT = {"type", "description", "enum", "anyOf", "properties", "required", "items"}


def assert_kept(schema: Any) -> None:
    assert isinstance(schema, dict)
    assert schema
    assert schema.keys() <= KEPT
    assert isinstance(schema.get("description", ""), str)
    assert all(isinstance(name, str) for name in schema.get("required", ()))
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        assert_kept(part)
    if "items" in schema:
        assert_kept(schema["items"])


REFERENCES = st.sampled_from(["#", "#/$defs/A", "#/$defs/B"]).map(lambda ref: {"$ref": ref})


@settings(max_examples=80, deadline=None)
@given(keywords(SCHEMAS | REFERENCES), OBJECTS, OBJECTS)
def test_nothing_is_sent_that_ollama_drops_or_refuses(schema: Any, first: Any, second: Any) -> None:
    whole = {**(schema if isinstance(schema, dict) else {}), "$defs": {"A": first, "B": second}}
    try:
        check_bounds(whole, "s", subject="x")
    except BadRequest:
        assume(False)
    found = flatten(whole)
    assert found["type"] == "object"
    assert isinstance(found["properties"], dict)
    assert_kept(found)
    msgspec.json.encode(found)


@settings(max_examples=80, deadline=None)
@given(OBJECTS)
def test_a_grammar_says_nothing_twice(schema: Any) -> None:
    try:
        check_bounds(schema, "s", subject="x")
        found = for_grammar(schema, "s", subject="x")
    except BadRequest:
        assume(False)
    assert for_grammar(found, "s", subject="x") == found
    assert_readable(found)


def assert_readable(schema: Any) -> None:
    """Assert what the converter demands of a schema."""
    assert isinstance(schema, dict)
    assert not {"allOf", "not"} & schema.keys()
    choices = [name for name in ("anyOf", "oneOf") if name in schema]
    assert len(choices) <= 1
    if not choices:
        assert {"type", "enum", "const", "$ref"} & schema.keys()
    more = schema.get("additionalProperties", False)
    parts = [*schema.get("properties", {}).values(), *schema.get("prefixItems", ())]
    parts += [part for name in choices for part in schema[name]]
    parts += [] if isinstance(more, bool) else [more]
    parts += [schema["items"]] if "items" in schema else []
    for part in parts:
        assert_readable(part)
    assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()


PIECES = st.sampled_from(
    [
        "^",
        "$",
        "a",
        "b1",
        ".",
        "*",
        "+",
        "?",
        "{2}",
        "{1,3}",
        "(",
        ")",
        "(?:",
        "|",
        "[a-z]",
        "[^a]",
        r"\d",
        r"\.",
        r"\w",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=10).map("".join))
def test_a_written_pattern_stays_as_it_is(pattern: str) -> None:
    try:
        written = anchored(pattern)
    except Unsayable:
        return
    assert written.startswith("^")
    assert written.endswith("$")
    if len(written) <= 256:
        assert anchored(written) == written


def some_plan() -> ToolPlan:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]
    plan = choose({"tools": [*tools, {"type": "function", "function": {"name": "now"}}]})
    assert plan is not None
    return plan


PLAN = some_plan()
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
SHARDS = st.sampled_from(
    [
        *(
            "<tool_call>",
            "</tool_call>",
            "<function=now>",
            "</function>",
            "[TOOL_CALLS]",
            "```json\n",
            "```",
            "\n",
        ),
        *(
            "{",
            "}",
            "[",
            "]",
            '"name"',
            ":",
            '"now"',
            '"arguments"',
            "now",
            "[ARGS]",
            " ",
            "text",
            "<",
            "`",
            ",",
        ),
        *(CALL, '{"name": "now", "arguments": {}}', "<|python_tag|>"),
    ]
)
TEXTS = st.lists(SHARDS, max_size=12).map("".join) | st.text(max_size=40)


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [*pieces, text]


def run(pieces: list[str]) -> tuple[str, str, list[Call]]:
    rescue = Rescue(PLAN)
    said = "".join(rescue.feed(piece) for piece in pieces)
    return said, *rescue.close()


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 9), max_size=12))
def test_what_is_rescued_does_not_depend_on_cuts_and_nothing_is_lost(text: str, sizes: list[int]) -> None:
    said, rest, calls = run(cut(text, sizes))
    if calls:
        assert rest == ""
        assert text.startswith(said)
    else:
        assert said + rest == text
    assert run([text]) == (said, rest, calls)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_characters="<[{`", codec="utf-8")), max_size=8))
def test_prose_is_never_held(pieces: list[str]) -> None:
    rescue = Rescue(PLAN)
    fed = said = ""
    for piece in pieces:
        fed += piece
        said += rescue.feed(piece)
        assert said == (fed if fed.strip() else "")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.sampled_from(["<", "[", "{", "`"]), st.integers(0, 9))
def test_a_sign_in_a_line_is_held_for_a_few_characters_at_most(text: str, sign: str, size: int) -> None:
    line = f"Text {sign}{text}"
    assume("\n" not in line and "\r" not in line and "tool" not in text)
    rescue = Rescue(PLAN)
    said = rescue.feed(line[:size]) + rescue.feed(line[size:])
    assert len(line) - len(said) < len("<function=get_weather>")


@given(st.sampled_from([CALL, f"<tool_call>{CALL}</tool_call>", f"```json\n{CALL}\n```"]), st.data())
def test_a_call_is_rescued_however_it_is_cut(text: str, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 20), max_size=10))
    assert run(cut(text, sizes)) == ("", "", [Call("get_weather", {"city": "Paris"})])


def assert_plain_json(value: Mapping[str, Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value)) == value


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_arguments_come_back_as_they_were(arguments: dict[str, Any]) -> None:
    assert_plain_json(arguments)
    assert msgspec.json.decode(Call("f", arguments).arguments_text()) == arguments
    assert list(msgspec.json.decode(Call("f", arguments).arguments_text())) == list(arguments)
