"""Answers in a wanted form: JSON, schemas, and what `parse` makes of them."""

from __future__ import annotations

import asyncio
import enum
import json
from typing import Any

import jsonschema
import openai
import pytest
from pydantic import BaseModel, Field

from tests.e2e.wire import DONE, chat, deltas, last, line, recorded
from tests.ollama import FakeOllama, stream
from tests.server import Server


def schema_format(schema: dict[str, Any], name: str = "answer", **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, **more}}


def obj(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS = [
    pytest.param(obj(name={"type": "string"}, age={"type": "integer"}), id="plain"),
    pytest.param(
        {**obj(home={"$ref": "#/$defs/place"}), "$defs": {"place": obj(town={"type": "string"})}},
        id="definitions",
    ),
    pytest.param(obj(colour={"enum": ["red", "green"]}, kind={"const": "x"}), id="enums"),
    pytest.param(
        obj(nick={"anyOf": [{"type": "string"}, {"type": "null"}]}, old={"type": ["integer", "null"]}),
        id="nulls",
    ),
    pytest.param(
        obj(tags={"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3}), id="arrays"
    ),
    pytest.param(
        {
            **obj(tree={"$ref": "#/$defs/node"}),
            "$defs": {
                "node": obj(
                    value={"type": "integer"}, children={"type": "array", "items": {"$ref": "#/$defs/node"}}
                )
            },
        },
        id="recursion",
    ),
    pytest.param(
        obj(zone={"type": "boolean"}, amount={"type": "number"}, apple={"type": "string"}), id="order"
    ),
    pytest.param({"type": "array", "items": obj(a={"type": "integer"})}, id="an array at the root"),
]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_answer_with_a_schema_parses_and_validates(
    server: Server, schema: dict[str, Any], streaming: bool
) -> None:
    answer = chat(server, response_format=schema_format(schema, strict=True), stream=streaming)
    assert answer.status == 200, answer.raw
    if streaming:
        assert answer.events[-1] == DONE
        content = "".join(delta.get("content") or "" for delta in deltas(answer.events))
    else:
        content = answer.body["choices"][0]["message"]["content"]
    jsonschema.validate(json.loads(content), schema)


def test_the_schema_reaches_ollama_with_its_properties_in_order(server: Server, ollama: FakeOllama) -> None:
    schema = obj(zebra={"type": "string"}, apple={"type": "string"})
    chat(server, response_format=schema_format(schema))
    sent = ollama.asked("/api/chat")[-1]
    assert list(sent.body["format"]["properties"]) == ["zebra", "apple"]
    assert sent.body["messages"] == [{"role": "user", "content": "say: hi"}], "nothing is added to the prompt"


@pytest.mark.parametrize("streaming", [False, True])
def test_json_object_is_an_object(server: Server, streaming: bool) -> None:
    answer = chat(server, response_format={"type": "json_object"}, stream=streaming)
    said = deltas(answer.events) if streaming else [answer.body["choices"][0]["message"]]
    assert isinstance(json.loads("".join(part.get("content") or "" for part in said)), dict)


def test_text_is_no_form_at_all(server: Server, ollama: FakeOllama) -> None:
    assert chat(server, response_format={"type": "text"}).body["choices"][0]["message"]["content"] == "hi"
    assert "format" not in ollama.asked("/api/chat")[-1].body


# --- models that think


@pytest.mark.parametrize("streaming", [False, True])
def test_a_model_that_thinks_gives_nothing_but_the_json(
    server: Server, ollama: FakeOllama, streaming: bool
) -> None:
    answer = chat(
        server,
        model="practice-think",
        response_format=schema_format(obj(a={"type": "integer"})),
        stream=streaming,
    )
    said = deltas(answer.events) if streaming else [answer.body["choices"][0]["message"]]
    assert json.loads("".join(part.get("content") or "" for part in said)).keys() == {"a"}
    assert all("reasoning" not in part for part in said)
    assert ollama.asked("/api/chat")[-1].body["think"] is False


@pytest.mark.parametrize(
    "name",
    [
        "09-format/parser-qwen35-think-false-stream",
        "09-format/parser-think-think-false-stream",
        "09-format/think-think-false-stream",
        "09-format/jinja-think-think-false-stream",
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_recorded_models_that_think_give_nothing_but_the_json(
    server: Server, ollama: FakeOllama, name: str, streaming: bool
) -> None:
    before = len(ollama.asked("/api/chat"))
    ollama.script("/api/chat", recorded(name))
    answer = chat(server, model="practice-think", response_format={"type": "json_object"}, stream=streaming)
    assert len(ollama.asked("/api/chat")) == before + 1
    said = deltas(answer.events) if streaming else [answer.body["choices"][0]["message"]]
    content = "".join(part.get("content") or "" for part in said)
    assert isinstance(json.loads(content), dict), content


def test_thinking_that_was_asked_for_stands_apart_from_the_json(server: Server) -> None:
    message = chat(
        server,
        model="practice-think",
        reasoning_effort="high",
        response_format=schema_format(obj(a={"type": "integer"})),
    ).body["choices"][0]["message"]
    assert json.loads(message["content"]).keys() == {"a"}
    assert message["reasoning_content"]


# --- answers that break their form


BROKEN = [line('{"a": '), line('"not a number"}'), last()]
RIGHT = [line('{"a": '), line("1}"), last()]
NUMBER = obj(a={"type": "integer"})


def test_a_whole_answer_that_breaks_its_schema_is_asked_for_once_more(
    server: Server, ollama: FakeOllama
) -> None:
    ollama.script("/api/chat", stream(*BROKEN), stream(*RIGHT))
    before = len(ollama.asked("/api/chat"))
    answer = chat(server, response_format=schema_format(NUMBER, strict=True))
    assert answer.body["choices"][0]["message"]["content"] == '{"a": 1}'
    assert answer.body["usage"]["completion_tokens"] == 6, "the tokens of both"
    assert len(ollama.asked("/api/chat")) == before + 2


def test_twice_wrong_is_an_error_where_the_caller_is_strict(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(*BROKEN), stream(*BROKEN))
    answer = chat(server, response_format=schema_format(NUMBER, strict=True))
    assert (answer.status, answer.error["code"]) == (502, "response_format_violation")


def test_twice_wrong_is_a_warning_where_the_caller_is_not(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(*BROKEN), stream(*BROKEN))
    answer = chat(server, response_format=schema_format(NUMBER))
    assert (answer.status, answer.headers["x-o2o-warning"]) == (200, "response_format")


def test_a_strict_stream_that_breaks_its_schema_ends_with_an_error(
    server: Server, ollama: FakeOllama
) -> None:
    ollama.script("/api/chat", stream(*BROKEN))
    events = chat(server, response_format=schema_format(NUMBER, strict=True), stream=True).events
    assert events[-1]["error"]["code"] == "response_format_violation"
    assert DONE not in events
    reasons = [choice["finish_reason"] for event in events[:-1] for choice in event["choices"]]
    assert set(reasons) == {None}


def test_an_answer_cut_by_its_limit_is_not_judged(client: openai.OpenAI, ollama: FakeOllama) -> None:
    class Answer(BaseModel):
        words: str

    ollama.script("/api/chat", stream(line('{"words": "never fi'), last("length")))
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="practice",
            messages=[{"role": "user", "content": "x"}],
            response_format=Answer,
            max_tokens=5,
        )


# --- forms that cannot be


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {}}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema"),
        (
            {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
            "response_format.json_schema",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": "y"}},
            "response_format.json_schema.schema",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
            "response_format.json_schema.name",
        ),
        ({"type": "grammar"}, "response_format.type"),
    ],
)
def test_a_form_that_lacks_something_is_refused_with_its_place(server: Server, form: Any, param: str) -> None:
    answer = chat(server, response_format=form)
    assert (answer.status, answer.error["param"]) == (400, param)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(obj(a={"$ref": "#/$defs/gone"}), id="a reference to nothing"),
        pytest.param(obj(a={"type": "colour"}), id="a type that is none"),
        pytest.param(
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(20_000)}}, id="huge"
        ),
    ],
)
def test_a_schema_that_no_grammar_can_say_is_refused(server: Server, schema: dict[str, Any]) -> None:
    answer = chat(server, response_format=schema_format(schema))
    assert answer.status == 400
    assert answer.error["param"].startswith("response_format")


# --- with tools


def test_a_schema_and_tools_together_give_a_call_or_the_form(server: Server) -> None:
    tool = {
        "type": "function",
        "function": {"name": "get_weather", "parameters": obj(city={"type": "string"})},
    }
    form = schema_format(NUMBER, strict=True)
    call = chat(
        server, tools=[tool], response_format=form, messages=[{"role": "user", "content": "call get_weather"}]
    ).body["choices"][0]
    assert call["finish_reason"] == "tool_calls"
    said = chat(server, tools=[tool], response_format=form).body["choices"][0]
    assert said["finish_reason"] == "stop"
    assert json.loads(said["message"]["content"]).keys() == {"a"}
    events = chat(server, tools=[tool], response_format=form, stream=True).events
    assert json.loads("".join(delta.get("content") or "" for delta in deltas(events))).keys() == {"a"}


# --- pydantic models, as those who extract data use them


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Address(BaseModel):
    street: str
    number: int | None = None


class Person(BaseModel):
    """Somebody."""

    name: str = Field(description="The whole name.")
    age: int
    favourite: Colour
    home: Address
    others: list[Address]
    nickname: str | None


class Node(BaseModel):
    value: int
    children: list[Node]


class Step(BaseModel):
    explanation: str
    output: str


class Solution(BaseModel):
    steps: list[Step]
    final_answer: str


ASK = "Extract it from this text."


@pytest.mark.parametrize("model", ["practice", "practice-think"])
@pytest.mark.parametrize("shape", [Person, Node, Solution, Address])
def test_parse_gives_pydantic_models(client: openai.OpenAI, shape: type[BaseModel], model: str) -> None:
    completion = client.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": ASK}], response_format=shape
    )
    assert isinstance(completion.choices[0].message.parsed, shape)


@pytest.mark.parametrize("shape", [Person, Node])
def test_streams_end_in_pydantic_models(client: openai.OpenAI, shape: type[BaseModel]) -> None:
    snapshots = []
    with client.chat.completions.stream(
        model="practice", messages=[{"role": "user", "content": ASK}], response_format=shape
    ) as running:
        for event in running:
            if event.type == "content.delta":
                snapshots.append(event.snapshot)
        final = running.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, shape)
    assert len(snapshots) > 3
    assert snapshots[-1] == final.choices[0].message.content


def test_parse_works_for_those_who_await(server: Server) -> None:
    async def parse() -> Person | None:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
            completion = await client.chat.completions.parse(
                model="practice", messages=[{"role": "user", "content": ASK}], response_format=Person
            )
            return completion.choices[0].message.parsed

    assert isinstance(asyncio.run(parse()), Person)


@pytest.mark.parametrize("shape", [Person, Node, Solution])
def test_a_forced_tool_fills_a_pydantic_model(client: openai.OpenAI, shape: type[BaseModel]) -> None:
    tool = openai.pydantic_function_tool(shape)
    completion = client.chat.completions.parse(
        model="practice",
        messages=[{"role": "user", "content": ASK}],
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": shape.__name__}},
    )
    (call,) = completion.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, shape)


def test_what_validation_complained_about_may_be_sent_back(client: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(Address)
    choice: Any = {"type": "function", "function": {"name": "Address"}}
    messages: list[Any] = [{"role": "user", "content": ASK}]
    first = client.chat.completions.create(
        model="practice", messages=messages, tools=[tool], tool_choice=choice
    )
    (call,) = first.choices[0].message.tool_calls or []
    messages += [
        first.choices[0].message.model_dump(),
        {
            "role": "tool",
            "tool_call_id": call.id,
            "name": "Address",
            "content": "Validation error: try again.",
        },
    ]
    second = client.chat.completions.create(
        model="practice", messages=messages, tools=[tool], tool_choice=choice
    )
    (again,) = second.choices[0].message.tool_calls or []
    assert again.type == "function"
    Address.model_validate_json(again.function.arguments)
