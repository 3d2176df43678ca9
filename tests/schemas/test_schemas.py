"""What callers may send, and what they are told about the rest."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft7Validator

from o2o import schemas
from o2o.errors import MAX_ECHO, BadRequest
from o2o.schemas import _explain, _fast, _load
from tests.schemas.accepted import ACCEPTED
from tests.schemas.bodies import BASES, Body, chat, said
from tests.schemas.refused import REFUSED

CHECKS: dict[str, Callable[..., object]] = {
    "chat": schemas.check_chat,
    "completions": schemas.check_completions,
    "embeddings": schemas.check_embeddings,
}


def refusal(endpoint: str, body: object, *, plain: bool = False) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        CHECKS[endpoint](body, plain=plain)
    return caught.value


def short(value: object) -> str:
    return value[0] if isinstance(value, tuple) else repr(value)[:60]


@pytest.mark.parametrize(("endpoint", "body", "expected"), REFUSED, ids=short)
def test_a_refusal_says_what_openai_says(endpoint: str, body: Body, expected: tuple[str, str, str]) -> None:
    code, param, message = expected
    error = refusal(endpoint, body)
    assert error.http_status == 400
    assert error.body() == {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }


@pytest.mark.parametrize(("endpoint", "body", "expected"), REFUSED, ids=short)
def test_a_refusal_does_not_depend_on_the_fast_accept(endpoint: str, body: Body, expected: object) -> None:
    assert refusal(endpoint, body, plain=True).body() == refusal(endpoint, body).body()


@pytest.mark.parametrize(("endpoint", "body"), ACCEPTED, ids=short)
def test_what_callers_send_is_accepted_and_left_alone(endpoint: str, body: Body) -> None:
    before = copy.deepcopy(body)
    assert CHECKS[endpoint](body) is body
    assert CHECKS[endpoint](body, plain=True) is body
    assert body == before


@pytest.mark.parametrize(("endpoint", "body"), ACCEPTED, ids=short)
def test_the_fast_accept_knows_what_is_good(endpoint: str, body: Body) -> None:
    # Otherwise every such request would take the slow way, unnoticed.
    assert _fast.fast_accept(endpoint)(body)


@pytest.mark.parametrize("body", [[], "x", 1, 1.5, None, True, [{"model": "m"}]])
@pytest.mark.parametrize("endpoint", schemas.ENDPOINTS)
def test_a_body_that_is_no_object_is_refused_without_param_and_code(endpoint: str, body: object) -> None:
    error = refusal(endpoint, body)
    assert (error.http_status, error.param, error.code) == (400, None, None)
    assert error.message.startswith("We could not parse the JSON body of your request.")


def test_null_is_accepted_for_every_optional_parameter() -> None:
    for endpoint in schemas.ENDPOINTS:
        base = BASES[endpoint]
        for name in schemas.known_parameters(endpoint) - base.keys():
            body = base | {name: None}
            assert CHECKS[endpoint](body) is body


@pytest.mark.parametrize("length", [300, 10_000, 1_000_000])
def test_a_refusal_repeats_little_of_what_was_sent(length: int) -> None:
    for body in (said(role="Z" * length), chat(verbosity="Z" * length), chat(model="Z" * length)):
        assert refusal("chat", body).message.count("Z") <= MAX_ECHO
    error = refusal("chat", chat(logit_bias={"Z" * length: 101}, metadata={"Z" * length: 1}))
    assert "Z" not in error.message
    assert error.param == "logit_bias"


def test_a_refusal_repeats_no_control_characters() -> None:
    assert "\n" not in refusal("chat", said(role="us\ner")).message


def test_the_parameters_known_are_those_that_the_schemas_name() -> None:
    assert {"model", "messages", "temperature", "options", "input"} <= schemas.known_parameters("chat")
    assert {"prompt", "suffix", "best_of"} <= schemas.known_parameters("completions")
    assert {"input", "dimensions", "encoding_format"} <= schemas.known_parameters("embeddings")
    assert "messages" not in schemas.known_parameters("completions")


def test_everything_can_be_compiled_before_the_first_request() -> None:
    schemas.compile_all()


# --- every parameter


OF_TYPE: dict[str, Any] = {
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "string": "x",
    "array": [],
    "object": {},
}
"""A value of each type of JSON."""
FITS = {"number": {"integer", "number"}}
"""What stands for more than one of those values."""


def parameters(*keywords: str) -> list[Any]:
    """Return (endpoint, name, schema) of every parameter whose schema has one of some keywords."""
    return [
        pytest.param(endpoint, name, schema, id=f"{endpoint}-{name}")
        for endpoint in schemas.ENDPOINTS
        for name, schema in _load.load(endpoint)["properties"].items()
        if any(keyword in schema for keyword in keywords)
    ]


def types_of(schema: dict[str, Any]) -> set[str]:
    told = schema["type"]
    return {told} if isinstance(told, str) else set(told)


@pytest.mark.parametrize(("endpoint", "name", "schema"), parameters("type"))
def test_no_parameter_takes_a_value_of_another_type(endpoint: str, name: str, schema: dict[str, Any]) -> None:
    taken = {fit for kind in types_of(schema) for fit in FITS.get(kind, {kind})}
    for kind, value in OF_TYPE.items():
        if kind in taken:
            continue
        error = refusal(endpoint, {**BASES[endpoint], name: value})
        assert (error.code, error.param) == ("invalid_type", name)


@pytest.mark.parametrize(("endpoint", "name", "schema"), parameters("minimum", "maximum"))
def test_no_parameter_takes_a_number_out_of_its_range(
    endpoint: str, name: str, schema: dict[str, Any]
) -> None:
    for keyword, step, word in (("minimum", -1, "below_min"), ("maximum", 1, "above_max")):
        if keyword in schema:
            error = refusal(endpoint, {**BASES[endpoint], name: schema[keyword] + step})
            kind = "integer" if "integer" in types_of(schema) else "decimal"
            assert (error.code, error.param) == (f"{kind}_{word}_value", name)


@pytest.mark.parametrize(("endpoint", "name", "schema"), parameters("enum"))
def test_no_parameter_takes_an_unknown_word(endpoint: str, name: str, schema: dict[str, Any]) -> None:
    error = refusal(endpoint, {**BASES[endpoint], name: "banana"})
    assert (error.code, error.param) == ("invalid_value", name)
    assert all(f"'{word}'" in error.message for word in schema["enum"] if word)


# --- the schemas themselves


def nodes(node: Any) -> list[dict[str, Any]]:
    """Return every schema inside a schema, itself first."""
    found = [node] if isinstance(node, dict) else []
    if isinstance(node, list):
        children = node
    elif isinstance(node, dict):
        children = [
            node[key] for key in ("if", "then", "else", "items", "additionalProperties") if key in node
        ]
        children += node.get("properties", {}).values()
    else:
        children = []
    for child in children:
        found += nodes(child)
    return found


ALL_NODES = [node for endpoint in schemas.ENDPOINTS for node in nodes(_load.load(endpoint))]
STRUCTURE = {"if", "then", "else", "items", "additionalProperties", "properties", "propertyNames"}
SPEECH = {"$schema", "$comment", "title", "description"}


@pytest.mark.parametrize("endpoint", schemas.ENDPOINTS)
def test_the_schemas_are_schemas(endpoint: str) -> None:
    Draft7Validator.check_schema(_load.load(endpoint))


def test_schemas_carry_no_default_that_could_act() -> None:
    assert not [node for node in ALL_NODES if "default" in node]


def test_every_keyword_of_the_schemas_can_be_explained() -> None:
    # `const` only stands in an `if`, which is never told.
    used = set().union(*ALL_NODES) - STRUCTURE - SPEECH - {"required", "const"}
    assert used <= _explain._EXPLANATIONS.keys()


def test_a_const_only_chooses_between_branches() -> None:
    for node in ALL_NODES:
        for key in ("then", "else", "items", "additionalProperties"):
            assert "const" not in node.get(key, {})
        conditions = [inner for other in ALL_NODES if "if" in other for inner in nodes(other["if"])]
        assert "const" not in node or any(node is inner for inner in conditions)


def test_schemas_ask_for_unnamed_properties_only_where_none_is_named() -> None:
    # The rewriting in _fast relies on it.
    assert not [node for node in ALL_NODES if "additionalProperties" in node and "properties" in node]


def test_no_node_measures_both_strings_and_arrays() -> None:
    # fastjsonschema < 2.22.2 gives both lengths one variable, and computes it once.
    for node in ALL_NODES:
        assert not (node.keys() & {"minLength", "maxLength"} and node.keys() & {"minItems", "maxItems"})


def test_null_is_refused_only_for_what_is_required() -> None:
    # An error about a null says "missing".
    for node in ALL_NODES:
        assert "null" in node.get("additionalProperties", {}).get("type", ["null"])
    chats = schemas.known_parameters("chat") - {"model", "messages"}
    assert schemas.check_chat(BASES["chat"] | dict.fromkeys(chats))


def test_every_pattern_has_a_title_that_says_what_it_asks_for() -> None:
    assert not [node for node in ALL_NODES if "pattern" in node and "title" not in node]


def test_a_type_is_told_before_anything_else() -> None:
    for node in ALL_NODES:
        keywords = [key for key in node if key not in SPEECH]
        assert "type" not in keywords or keywords[0] == "type"


def test_a_size_is_told_before_what_is_inside() -> None:
    sizes = {"maxItems", "minItems", "maxProperties"}
    for node in ALL_NODES:
        keywords = list(node)
        inside = [keywords.index(key) for key in STRUCTURE & node.keys()]
        assert all(keywords.index(key) < min(inside, default=99) for key in sizes & node.keys())


def test_a_minimum_length_is_one_so_that_empty_is_the_word() -> None:
    assert {node.get("minLength", 1) for node in ALL_NODES} == {1}
    assert {node.get("minItems", 1) for node in ALL_NODES} == {1}


def test_the_schemas_files_are_ascii_and_name_their_draft() -> None:
    for name in ("chat", "completions", "embeddings", "common"):
        text = files("o2o.schemas").joinpath(f"{name}.json").read_text(encoding="ascii")
        assert json.loads(text)["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("endpoint", schemas.ENDPOINTS)
def test_the_generated_code_is_rewritten_to_answer_only_yes_or_no(endpoint: str) -> None:
    code = _fast.source(endpoint)
    assert "raise Refused" in code
    assert "raise JsonSchemaValueException" not in code
    assert "set(" not in code
    assert "remove(" not in code
