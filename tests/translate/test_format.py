"""The wanted form of an answer is read in all its spellings, and sent as Ollama's `format`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from o2o.errors import BadRequest
from o2o.translate.format import Format, wish
from tests.replay import load

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def json_schema(**more: Any) -> dict[str, Any]:
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, **more}}
    }


def wanted(**body: Any) -> Format:
    found = wish(body)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"response_format": None, "format": None, "guided_json": None},
        {"response_format": {"type": "text"}},
        {"response_format": {"type": "text"}, "format": "json"},
        {"format": ""},
        {"structured_outputs": {}},
        {"structured_outputs": {"json_object": False, "json": None}},
    ],
)
def test_any_text_will_do(body: dict[str, Any]) -> None:
    assert wish(body) is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"format": "json"}, "format"),
        ({"structured_outputs": {"json_object": True}}, "structured_outputs"),
        ({"response_format": {"type": "json_object"}, "format": SCHEMA}, "response_format"),
    ],
)
def test_any_object_will_do(body: dict[str, Any], param: str) -> None:
    found = wanted(**body)
    assert (found.kind, found.param, found.payload()) == ("json", param, "json")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (json_schema(), "response_format.json_schema.schema"),
        ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, "response_format.schema"),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, "response_format.schema"),
        ({"response_format": {"type": "json_object", "json_schema": SCHEMA}}, "response_format.json_schema"),
        ({"json_schema": SCHEMA}, "json_schema"),
        ({"format": SCHEMA}, "format"),
        ({"guided_json": SCHEMA}, "guided_json"),
        ({"guided_json": msgspec.json.encode(SCHEMA).decode()}, "guided_json"),
        ({"structured_outputs": {"json": SCHEMA}}, "structured_outputs.json"),
        ({**json_schema(), "format": "json", "guided_regex": "a"}, "response_format.json_schema.schema"),
    ],
)
def test_a_schema_is_sent_as_format(body: dict[str, Any], param: str) -> None:
    found = wanted(**body)
    assert (found.kind, found.param, found.payload(), found.unquote) == ("schema", param, SCHEMA, False)


def test_name_and_strict_are_kept() -> None:
    assert wanted(**json_schema()).name == "n"
    assert not wanted(**json_schema()).strict
    assert not wanted(**json_schema(strict=None)).strict
    assert wanted(**json_schema(strict=True)).strict
    inline = {"type": "json_schema", "schema": SCHEMA, "strict": True}
    assert wanted(response_format=inline).strict


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ({"guided_choice": ["yes", 'no"']}, {"type": "string", "enum": ["yes", 'no"']}),
        ({"structured_outputs": {"choice": ["a"]}}, {"type": "string", "enum": ["a"]}),
        ({"guided_regex": r"\d{3}"}, {"type": "string", "pattern": "^([0-9]{3})$"}),
        ({"guided_regex": r"^a|b$"}, {"type": "string", "pattern": "^(a|b)$"}),
        ({"guided_regex": r"^a\$"}, None),
        ({"structured_outputs": {"regex": "[a-z]+"}}, {"type": "string", "pattern": "^([a-z]+)$"}),
    ],
)
def test_a_choice_or_an_expression_is_asked_for_as_a_string(body: dict[str, Any], payload: Any) -> None:
    if payload is None:
        with pytest.raises(BadRequest):
            wish(body)
        return
    found = wanted(**body)
    assert found.payload() == payload
    assert found.unquote


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"response_format": {"type": "object"}}, "response_format.type", "invalid_value"),
        ({"response_format": {}}, "response_format.type", "invalid_value"),
        ({"response_format": 5}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": ["text"]}}, "response_format.type", "invalid_value"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            "response_format.json_schema.schema",
            "missing_required_parameter",
        ),
        (json_schema(schema=[]), "response_format.json_schema.schema", "invalid_type"),
        (
            json_schema(schema={"properties": {"a": {"pattern": "(?=a)"}}}),
            "response_format.json_schema.schema.properties.a.pattern",
            None,
        ),
        (
            json_schema(schema={"$ref": "https://example.org"}),
            "response_format.json_schema.schema.$ref",
            None,
        ),
        (json_schema(schema={"pattern": r"\b"}), "response_format.json_schema.schema.pattern", None),
        ({"format": "yaml"}, "format", "invalid_value"),
        ({"format": 5}, "format", "invalid_value"),
        ({"format": {"type": "banana"}}, "format.type", None),
        ({"guided_json": "{"}, "guided_json", "invalid_value"),
        ({"guided_json": "5"}, "guided_json", "invalid_type"),
        ({"guided_choice": []}, "guided_choice", "invalid_type"),
        ({"guided_choice": "a"}, "guided_choice", "invalid_type"),
        ({"guided_choice": [1]}, "guided_choice", "invalid_type"),
        ({"guided_regex": 5}, "guided_regex", "invalid_type"),
        ({"guided_regex": r"\bx"}, "guided_regex", "invalid_value"),
        ({"structured_outputs": 5}, "structured_outputs", "invalid_type"),
        ({"structured_outputs": {"grammar": "x"}}, "structured_outputs.grammar", "unsupported_parameter"),
        (
            {"structured_outputs": {"structural_tag": {}}},
            "structured_outputs.structural_tag",
            "unsupported_parameter",
        ),
        ({"grammar": "x"}, "grammar", "unsupported_parameter"),
        ({"guided_grammar": "x"}, "guided_grammar", "unsupported_parameter"),
        ({"json_schema": "x"}, "json_schema", "invalid_type"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_its_place(
    body: dict[str, Any], param: str, code: Any
) -> None:
    with pytest.raises(BadRequest) as caught:
        wish(body)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_broken_schema_is_refused_in_openais_words() -> None:
    with pytest.raises(BadRequest, match=r"^Invalid schema for response_format 'n': "):
        wish(json_schema(schema={"type": "banana"}))
    with pytest.raises(BadRequest, match=r"^Invalid schema for guided_json: "):
        wish({"guided_json": {"type": "banana"}})


@pytest.mark.parametrize(
    ("body", "text", "found"),
    [
        ({"format": "json"}, '{"a": 1}\n', None),
        ({"format": "json"}, "[1]", "it is not a JSON object"),
        ({"format": "json"}, '{"a": ', "it is not valid JSON"),
        ({"format": "json"}, "[" * 100_000, "it is not valid JSON"),
        ({"format": SCHEMA}, '{"a": 1}', None),
        ({"format": SCHEMA}, '{"a": "x"}', "a: must be of type integer"),
        ({"format": SCHEMA}, "", "it is not valid JSON"),
        ({"guided_choice": ["yes"]}, '"yes"', None),
        ({"guided_choice": ["yes"]}, '"no"', "must be one of the enum's values"),
    ],
)
def test_an_answer_is_held_against_its_form(body: dict[str, Any], text: str, found: str | None) -> None:
    assert wanted(**body).violation(text) == found


@pytest.mark.parametrize(
    ("body", "text", "bare"),
    [
        ({"guided_choice": ["é\n"]}, '"\\u00e9\\n"', "é\n"),
        ({"guided_choice": ["a"]}, "a", "a"),
        ({"guided_choice": ["5"]}, "5", "5"),
        ({"format": SCHEMA}, '"a"', '"a"'),
    ],
)
def test_a_choice_reaches_the_caller_as_bare_text(body: dict[str, Any], text: str, bare: str) -> None:
    assert wanted(**body).bare(text) == bare


def test_what_is_sent_is_what_was_recorded_as_accepted() -> None:
    exchange = load("09-format/echo-simple")["exchanges"][0]
    schema = msgspec.json.decode(exchange["request"]["body"])["format"]
    reply = msgspec.json.decode("".join(text for _, text in exchange["response"]["body"]))
    found = wanted(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    assert found.payload() == schema
    assert found.violation(reply["message"]["content"]) is None


@pytest.mark.parametrize(
    "name", ["echo-bad-ref-stream", "echo-bad-type", "echo-response-format", "echo-yaml-stream"]
)
def test_what_was_recorded_as_refused_is_refused_here(name: str) -> None:
    exchange = load(f"09-format/{name}")["exchanges"][0]
    with pytest.raises(BadRequest):
        wish({"format": msgspec.json.decode(exchange["request"]["body"])["format"]})


def test_an_open_pattern_is_closed_since_ollama_refuses_it() -> None:
    exchange = load("09-format/echo-pattern-unanchored")["exchanges"][0]
    assert exchange["response"]["status_line"].endswith("400 Bad Request")
    found: Any = wanted(format=msgspec.json.decode(exchange["request"]["body"])["format"]).payload()
    pattern = found["properties"]["z"]["pattern"]
    assert (pattern[0], pattern[-1]) == ("^", "$")
    assert "[0-9]{5}" in pattern
