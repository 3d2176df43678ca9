"""Tools: calls and their ids, the choice among them, their results, and how they stream."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.wire import DONE, chat, deltas, last, line, recorded
from tests.ollama import FakeOllama, stream
from tests.server import Server


def function(name: str, /, **properties: str) -> dict[str, Any]:
    """Return a tool whose arguments have these names and types, all of them required."""
    parameters = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
    }
    return {
        "type": "function",
        "function": {"name": name, "description": f"Do {name}.", "parameters": parameters},
    }


WEATHER = function("get_weather", city="string")
TIME = function("get_time", zone="string")
TOOLS = [WEATHER, TIME]
# Every tool that a recorded answer calls.
RECORDED = [WEATHER, function("notify"), function("get_now"), function("open_door")]
BOTH = [{"role": "user", "content": "call get_weather and get_time for Berlin"}]
ONE = [{"role": "user", "content": "call get_weather for Berlin"}]
NONE = [{"role": "user", "content": "say: hi"}]
CALL_ID = re.compile(r"call_[A-Za-z0-9]{24}")


def ask(server: Server, messages: Any = ONE, tools: Any = TOOLS, /, **fields: Any) -> dict[str, Any]:
    """Return the first choice of an answer."""
    answer = chat(server, messages=messages, tools=tools, **fields)
    assert answer.status == 200, answer.raw
    choice: dict[str, Any] = answer.body["choices"][0]
    return choice


def called(choice: dict[str, Any]) -> list[str]:
    """Return the names of the functions that a choice calls; checks that the calls are what they should be."""
    calls = choice["message"].get("tool_calls", [])
    for call in calls:
        assert call["type"] == "function"
        assert CALL_ID.fullmatch(call["id"])
        assert isinstance(call["function"]["arguments"], str)
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    assert len({call["id"] for call in calls}) == len(calls)
    if calls:
        assert choice["message"]["content"] is None
        assert choice["finish_reason"] == "tool_calls"
    else:
        assert "tool_calls" not in choice["message"]
    return [call["function"]["name"] for call in calls]


# --- calls


def test_a_call_has_an_id_a_type_and_arguments_as_text(server: Server) -> None:
    choice = ask(server)
    assert called(choice) == ["get_weather"]
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Berlin"}


def test_arguments_are_compact_and_keep_their_letters_and_order(server: Server, ollama: FakeOllama) -> None:
    arguments = {"zone": "Zürich 漢", "at": 1, "a": [True, None]}
    call = {"function": {"name": "get_time", "arguments": arguments}}
    ollama.script("/api/chat", stream(line(tool_calls=[call]), last()))
    (made,) = ask(server)["message"]["tool_calls"]
    assert made["function"]["arguments"] == '{"zone":"Zürich 漢","at":1,"a":[true,null]}'


def test_a_call_without_arguments_has_an_empty_object(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", recorded("05-tool-calls-variants/tools-empty-arguments-stream"))
    (made,) = ask(server, ONE, RECORDED)["message"]["tool_calls"]
    assert made["function"]["arguments"] == "{}"


def test_two_calls_are_two_entries(server: Server) -> None:
    assert called(ask(server, BOTH)) == ["get_weather", "get_time"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("jinja-tools", ["get_weather", "notify"]),
        ("parser-think", ["get_weather", "notify"]),
        ("tools", ["notify", "notify"]),
    ],
)
def test_two_recorded_calls_are_two_entries_with_ids_of_their_own(
    server: Server, ollama: FakeOllama, kind: str, names: list[str]
) -> None:
    ollama.script("/api/chat", recorded(f"05-tool-calls-variants/{kind}-two-calls-stream"))
    assert called(ask(server, ONE, RECORDED)) == names


def test_one_call_is_the_most_when_parallel_calls_are_not_wanted(server: Server) -> None:
    assert called(ask(server, BOTH, parallel_tool_calls=False)) == ["get_weather"]
    answer = chat(server, messages=BOTH, tools=TOOLS, parallel_tool_calls=False, stream=True)
    fragments = [part for delta in deltas(answer.events) for part in delta.get("tool_calls", ())]
    assert {part["index"] for part in fragments} == {0}


def test_words_before_a_call_are_kept(server: Server, ollama: FakeOllama) -> None:
    call = {"function": {"name": "get_time", "arguments": {"zone": "UTC"}}}
    ollama.script("/api/chat", stream(line("Let me "), line("see."), line(tool_calls=[call]), last()))
    choice = ask(server)
    assert choice["message"]["content"] == "Let me see."
    assert choice["finish_reason"] == "tool_calls"


def test_the_tools_reach_ollama(server: Server, ollama: FakeOllama) -> None:
    ask(server, NONE)
    asked = ollama.asked("/api/chat")[-1].body["tools"]
    assert [tool["function"]["name"] for tool in asked] == ["get_weather", "get_time"]
    assert asked[0]["function"]["parameters"]["properties"]["city"]["type"] == "string"


def test_a_tool_without_parameters_is_accepted(server: Server) -> None:
    choice = ask(
        server,
        [{"role": "user", "content": "call ping"}],
        [{"type": "function", "function": {"name": "ping"}}],
    )
    assert called(choice) == ["ping"]


# --- the choice


def test_none_means_no_call_whatever_the_model_wants(server: Server, ollama: FakeOllama) -> None:
    assert called(ask(server, tool_choice="none")) == []
    assert "tools" not in ollama.asked("/api/chat")[-1].body
    call = {"function": {"name": "get_time", "arguments": {"zone": "UTC"}}}
    ollama.script("/api/chat", stream(line("hi"), line(tool_calls=[call]), last()))
    choice = ask(server, tool_choice="none")
    assert (called(choice), choice["message"]["content"], choice["finish_reason"]) == ([], "hi", "stop")


@pytest.mark.parametrize("word", ["required", "any"])
@pytest.mark.parametrize("streaming", [False, True])
def test_required_means_at_least_one_call_though_nothing_asks_for_it(
    server: Server, word: str, streaming: bool
) -> None:
    if not streaming:
        assert called(ask(server, NONE, tool_choice=word))[0] in ("get_weather", "get_time")
        return
    events = chat(server, messages=NONE, tools=TOOLS, tool_choice=word, stream=True).events
    first = next(delta for delta in deltas(events) if "tool_calls" in delta)
    assert first["tool_calls"][0]["function"]["name"] in ("get_weather", "get_time")
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("name", ["get_weather", "get_time"])
@pytest.mark.parametrize(
    "choice",
    [{"type": "function", "function": {"name": ...}}, {"type": "function", "name": ...}, {"name": ...}],
)
def test_a_named_function_is_the_one_that_is_called(
    server: Server, name: str, choice: dict[str, Any]
) -> None:
    wanted = json.loads(json.dumps(choice, default=lambda _: name))
    assert called(ask(server, NONE, tool_choice=wanted)) == [name]


def test_a_forced_call_has_the_arguments_that_its_schema_asks_for(server: Server) -> None:
    tool = function("book", seats="integer", name="string")
    tool["function"]["parameters"]["properties"]["class"] = {"enum": ["first", "second"]}
    tool["function"]["parameters"]["required"] = ["seats", "name", "class"]
    choice = ask(server, NONE, [tool], tool_choice="required")
    arguments = json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])
    assert arguments.keys() == {"seats", "name", "class"}
    assert isinstance(arguments["seats"], int)
    assert arguments["class"] in ("first", "second")


def test_a_choice_of_a_tool_that_is_not_offered_is_refused(server: Server) -> None:
    answer = chat(
        server, messages=ONE, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "gone"}}
    )
    assert (answer.status, answer.error["param"]) == (400, "tool_choice")


def test_a_choice_without_tools_is_ignored(server: Server) -> None:
    assert chat(server, tool_choice="auto").status == 200
    assert chat(server, tool_choice="none", tools=[]).status == 200


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def test_only_allowed_tools_are_called(server: Server, ollama: FakeOllama) -> None:
    assert called(ask(server, BOTH, tool_choice=allowed("auto", "get_time"))) == ["get_time"]
    assert [tool["function"]["name"] for tool in ollama.asked("/api/chat")[-1].body["tools"]] == ["get_time"]
    assert called(ask(server, NONE, tool_choice=allowed("required", "get_time"))) == ["get_time"]
    assert called(ask(server, NONE, tool_choice=allowed("auto", "get_time"))) == []


def test_an_allowed_tool_that_is_not_offered_is_refused(server: Server) -> None:
    answer = chat(server, messages=ONE, tools=TOOLS, tool_choice=allowed("auto", "gone"))
    assert (answer.status, answer.error["param"]) == (400, "tool_choice")


# --- results


def call_of(name: str, number: int, arguments: Any = "{}", **replaced: Any) -> dict[str, Any]:
    made = {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in {**made, **replaced}.items() if value is not None}


@pytest.mark.parametrize(
    "content", ["18 degrees", [{"type": "text", "text": "18 "}, {"type": "text", "text": "degrees"}]]
)
def test_results_go_back_to_the_model_with_the_names_of_their_tools(
    server: Server, ollama: FakeOllama, content: Any
) -> None:
    messages = [
        *BOTH,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call_of("get_weather", 1, '{"city":"Berlin"}'), call_of("get_time", 2)],
        },
        {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
        {"role": "tool", "tool_call_id": "call_1", "content": content},
    ]
    choice = ask(server, messages)
    assert (choice["finish_reason"], called(choice)) == ("stop", [])
    _, assistant, second, first = ollama.asked("/api/chat")[-1].body["messages"]
    assert [call["function"] for call in assistant["tool_calls"]] == [
        {"name": "get_weather", "arguments": {"city": "Berlin"}},
        {"name": "get_time", "arguments": {}},
    ]
    assert (second["role"], second["tool_name"], second["content"]) == ("tool", "get_time", "noon")
    assert (first["tool_name"], first["content"]) == ("get_weather", "18 degrees")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(call_of("get_time", 1, {"zone": "UTC"}), id="arguments as an object"),
        pytest.param(call_of("get_time", 1, '{"zone":"UTC"}', type=None), id="without a type"),
        pytest.param(call_of("get_time", 1, '{"zone":"UTC"}', index=0), id="with an index"),
    ],
)
@pytest.mark.parametrize("content", [None, "", []])
def test_histories_of_all_sorts_are_accepted(
    server: Server, ollama: FakeOllama, call: dict[str, Any], content: Any
) -> None:
    messages = [
        *ONE,
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    ]
    ask(server, messages)
    (made,) = ollama.asked("/api/chat")[-1].body["messages"][1]["tool_calls"]
    assert made["function"] == {"name": "get_time", "arguments": {"zone": "UTC"}}


def test_a_result_whose_call_was_trimmed_away_is_accepted(server: Server) -> None:
    messages = [{"role": "tool", "tool_call_id": "call_9", "content": "noon"}, *NONE]
    assert ask(server, messages)["message"]["content"] == "hi"


def test_an_assistant_message_with_calls_may_lack_its_content(server: Server) -> None:
    messages = [
        *ONE,
        {"role": "assistant", "tool_calls": [call_of("get_time", 1)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    ]
    assert called(ask(server, messages)) == []


def test_the_sdk_goes_round_with_pydantic_tools(client: openai.OpenAI) -> None:
    class GetWeather(BaseModel):
        """Tell the weather."""

        city: str

    tool = openai.pydantic_function_tool(GetWeather, name="get_weather")
    question: Any = {"role": "user", "content": "call get_weather for Berlin"}
    first = client.chat.completions.parse(model="practice", messages=[question], tools=[tool])
    message = first.choices[0].message
    assert message.tool_calls
    parsed = message.tool_calls[0].function.parsed_arguments
    assert isinstance(parsed, GetWeather)
    assert parsed.city == "Berlin"
    result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "18 degrees"}
    said: Any = message.model_dump(exclude_none=False)
    second = client.chat.completions.create(model="practice", messages=[question, said, result], tools=[tool])
    assert second.choices[0].finish_reason == "stop"
    assert "18 degrees" in (second.choices[0].message.content or "")


# --- functions, as they were before tools


FUNCTIONS = [WEATHER["function"], TIME["function"]]


def test_functions_are_answered_as_a_function_call(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="practice",
        messages=[{"role": "user", "content": "call get_weather for Berlin"}],
        functions=FUNCTIONS,
    )
    choice = completion.choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert choice.message.function_call.name == "get_weather"
    assert json.loads(choice.message.function_call.arguments) == {"city": "Berlin"}
    assert choice.message.tool_calls is None


def test_a_function_can_be_forced_and_forbidden(server: Server) -> None:
    forced = chat(server, messages=NONE, functions=FUNCTIONS, function_call={"name": "get_time"}).body[
        "choices"
    ][0]
    assert forced["message"]["function_call"]["name"] == "get_time"
    free = chat(server, messages=ONE, functions=FUNCTIONS, function_call="none").body["choices"][0]
    assert "function_call" not in free["message"]


def test_a_functions_result_goes_back_to_the_model(server: Server, ollama: FakeOllama) -> None:
    messages = [
        *ONE,
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "get_weather", "arguments": '{"city":"Berlin"}'},
        },
        {"role": "function", "name": "get_weather", "content": "18 degrees"},
    ]
    answer = chat(server, messages=messages, functions=FUNCTIONS)
    assert answer.body["choices"][0]["finish_reason"] == "stop"
    result = ollama.asked("/api/chat")[-1].body["messages"][-1]
    assert (result["role"], result["tool_name"], result["content"]) == ("tool", "get_weather", "18 degrees")


def test_a_function_call_streams_its_name_once(server: Server) -> None:
    events = chat(server, messages=ONE, functions=FUNCTIONS, stream=True).events
    parts = [delta["function_call"] for delta in deltas(events) if "function_call" in delta]
    assert [part["name"] for part in parts if "name" in part] == ["get_weather"]
    assert json.loads("".join(part["arguments"] for part in parts)) == {"city": "Berlin"}
    assert events[-2]["choices"][0]["finish_reason"] == "function_call"


# --- streams


def test_calls_stream_as_numbered_fragments(server: Server) -> None:
    events = chat(server, messages=BOTH, tools=TOOLS, stream=True).events
    first = deltas(events)[0]
    assert (first["role"], first["content"], first["refusal"]) == ("assistant", None, None)
    fragments = [part for delta in deltas(events) for part in delta.get("tool_calls", ())]
    seen: dict[int, str] = {}
    for part in fragments:
        index = part["index"]
        if index not in seen:
            assert index == len(seen), "calls begin in order, and no number is left out"
            assert CALL_ID.fullmatch(part["id"])
            assert part["type"] == "function"
            assert part["function"]["name"] == ("get_weather", "get_time")[index]
            assert part["function"]["arguments"] == ""
            seen[index] = ""
        else:
            assert part.keys() == {"index", "function"}
            assert part["function"].keys() == {"arguments"}
            assert index == len(seen) - 1
            seen[index] += part["function"]["arguments"]
    assert [json.loads(arguments) for arguments in seen.values()] == [{"city": "Berlin"}, {"zone": "Berlin"}]
    reasons = [choice["finish_reason"] for event in events[:-1] for choice in event["choices"]]
    assert reasons == [None] * (len(reasons) - 1) + ["tool_calls"]
    assert events[-1] == DONE


def test_text_streams_though_tools_are_offered(server: Server) -> None:
    events = chat(
        server, messages=[{"role": "user", "content": "count to 5"}], tools=TOOLS, stream=True
    ).events
    assert "".join(delta.get("content") or "" for delta in deltas(events)) == "1 2 3 4 5"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "name",
    [
        "04-one-tool-call/jinja-think-stream",
        "04-one-tool-call/jinja-tools-stream",
        "04-one-tool-call/parser-think-stream",
        "04-one-tool-call/think-tools-stream",
        "04-one-tool-call/tools-json-stream",
        "04-one-tool-call/tools-stream",
        "05-tool-calls-variants/parser-harmony-text-before-stream",
        "05-tool-calls-variants/parser-qwen35-thinking-before-stream",
    ],
)
def test_recorded_calls_of_all_kinds_of_models_are_calls(
    server: Server, client: openai.OpenAI, ollama: FakeOllama, name: str
) -> None:
    ollama.script("/api/chat", recorded(name), recorded(name))
    whole = ask(server, ONE, RECORDED)
    assert whole["finish_reason"] == "tool_calls"
    (call,) = whole["message"]["tool_calls"]
    tools: Any = RECORDED
    with client.chat.completions.stream(
        model="practice", messages=[{"role": "user", "content": "x"}], tools=tools
    ) as running:
        final = running.get_final_completion()
    (streamed,) = final.choices[0].message.tool_calls or []
    assert (streamed.function.name, streamed.function.arguments) == (
        call["function"]["name"],
        call["function"]["arguments"],
    )


def test_a_call_that_nobody_offered_is_an_error_and_not_an_empty_answer(
    server: Server, ollama: FakeOllama
) -> None:
    call = {"function": {"name": "rm_rf", "arguments": {}}}
    ollama.script("/api/chat", stream(line(tool_calls=[call]), last()))
    answer = chat(server, messages=ONE, tools=TOOLS)
    assert (answer.status, answer.error["code"]) == (502, "tool_call_parse_error")


@pytest.mark.parametrize("name", ["jinja-tools-cut-in-arguments-stream", "tools-cut-in-arguments-stream"])
def test_a_call_cut_by_the_limit_ends_as_length(server: Server, ollama: FakeOllama, name: str) -> None:
    ollama.script("/api/chat", recorded(f"05-tool-calls-variants/{name}"))
    answer = chat(server, messages=ONE, tools=RECORDED, max_tokens=20)
    (choice,) = answer.body["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")
    assert "tool_calls" not in choice["message"]
    assert answer.body["usage"]["completion_tokens"] == 20


# --- what Ollama does not have


VISION = "practice-vision"
"""The one practice model whose template knows no tools."""


@pytest.mark.parametrize("model", [VISION, "practice-think"])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "choice",
    ["required", {"type": "function", "function": {"name": "get_time"}}, allowed("required", "get_time")],
)
def test_a_call_can_be_forced_on_a_model_without_tools_and_on_one_that_thinks(
    client: openai.OpenAI, ollama: FakeOllama, model: str, streaming: bool, choice: Any
) -> None:
    asked: Any = {"model": model, "messages": NONE, "tools": TOOLS, "tool_choice": choice}
    if streaming:
        with client.chat.completions.stream(**asked) as running:
            completion: Any = running.get_final_completion()
    else:
        completion = client.chat.completions.create(**asked)
    [made] = completion.choices[0].message.tool_calls or []
    assert completion.choices[0].finish_reason == "tool_calls"
    wanted = "get_weather" if choice == "required" else "get_time"
    assert choice == "required" or made.function.name == wanted
    assert all(isinstance(value, str) for value in json.loads(made.function.arguments).values())
    sent = ollama.asked("/api/chat")[-1].body
    assert ("tools" in sent) == (model != VISION)
    assert sent.get("think") is (None if model == VISION else False)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_custom_tool_is_called_by_its_name_with_a_text(client: openai.OpenAI, streaming: bool) -> None:
    tools: Any = [WEATHER, {"type": "custom", "custom": {"name": "shell", "description": "Run it."}}]
    choice: Any = {"type": "custom", "custom": {"name": "shell"}}
    messages: Any = [{"role": "user", "content": 'Run "ls -l", please.'}]
    asked: Any = {"model": "practice", "messages": messages, "tools": tools, "tool_choice": choice}
    if not streaming:
        [made] = client.chat.completions.create(**asked).choices[0].message.tool_calls or []
        assert (made.type, made.custom.name) == ("custom", "shell")
        assert made.custom.input
        return
    fragments = [
        call.model_dump()
        for chunk in client.chat.completions.create(**asked, stream=True)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or []
    ]
    assert (fragments[0]["type"], fragments[0]["custom"]) == ("custom", {"name": "shell", "input": ""})
    assert "".join(part["custom"]["input"] for part in fragments[1:])


@pytest.mark.parametrize("streaming", [False, True])
def test_wrong_arguments_of_a_strict_function_are_asked_for_once_more_under_a_grammar(
    server: Server, ollama: FakeOllama, streaming: bool
) -> None:
    strict = json.loads(json.dumps(function("book", seats="integer")))
    strict["function"]["strict"] = True
    wrong = {"function": {"name": "book", "arguments": {"seats": "two"}}}
    ollama.script("/api/chat", stream(line("Right away."), line(tool_calls=[wrong]), last()))
    answer = chat(server, messages=NONE, tools=[strict], stream=streaming)
    assert "x-o2o-ignored" not in answer.headers
    second = ollama.asked("/api/chat")[-1].body
    assert second["format"]["properties"]["parameters"]["properties"] == {"seats": {"type": "integer"}}
    if streaming:
        text = "".join(delta.get("content") or "" for delta in deltas(answer.events))
        parts = [part["function"] for delta in deltas(answer.events) for part in delta.get("tool_calls", ())]
        arguments = json.loads("".join(part["arguments"] for part in parts))
    else:
        message = answer.body["choices"][0]["message"]
        text, arguments = message["content"], json.loads(message["tool_calls"][0]["function"]["arguments"])
    assert text == "Right away."
    assert isinstance(arguments["seats"], int)


LEAKED = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Berlin"}}\n</tool_call>'


def test_a_call_that_a_model_wrote_as_text_is_a_call(
    client: openai.OpenAI, server: Server, ollama: FakeOllama
) -> None:
    pieces = [line(LEAKED[at : at + 5]) for at in range(0, len(LEAKED), 5)]
    ollama.script("/api/chat", *[stream(line("I look. "), *pieces, last())] * 2)
    tools: Any = TOOLS
    messages: Any = ONE
    raw = client.chat.completions.with_raw_response.create(model="practice", messages=messages, tools=tools)
    assert raw.headers["x-o2o-warning"] == "tool_call_rescued"
    whole = raw.parse().choices[0]
    with client.chat.completions.stream(model="practice", messages=messages, tools=tools) as running:
        streamed = running.get_final_completion().choices[0]
    for choice in (whole, streamed):
        [made] = choice.message.tool_calls or []
        assert (made.function.name, made.function.arguments) == ("get_weather", '{"city":"Berlin"}')  # type: ignore[union-attr]  # no custom tool was offered
        assert (choice.message.content, choice.finish_reason) == ("I look. ", "tool_calls")
    server.await_log(lambda log: "notes=tool_call_rescued" in log, "telling it")


def test_text_is_not_held_up_because_it_may_become_a_call(client: openai.OpenAI, ollama: FakeOllama) -> None:
    read = threading.Event()
    before = [line("Paris "), line("is "), line("nice. ")]
    ollama.script("/api/chat", stream(*before, read, line("<b>Really</b>"), line(" {nice}."), last()))
    messages: Any = NONE
    tools: Any = TOOLS
    said = ""
    for chunk in client.chat.completions.create(
        model="practice", messages=messages, tools=tools, stream=True
    ):
        said += chunk.choices[0].delta.content or ""
        if said == "Paris is nice. ":
            read.set()  # Ollama says no more before this was read
    assert said == "Paris is nice. <b>Really</b> {nice}."


def test_what_only_looks_like_a_call_goes_out_as_it_is(server: Server, ollama: FakeOllama) -> None:
    for text in (LEAKED.replace("get_weather", "rm_rf"), LEAKED + " is how it is done.", LEAKED[:40]):
        ollama.script("/api/chat", stream(line(text), last()))
        choice = ask(server)
        assert (called(choice), choice["message"]["content"]) == ([], text)


@pytest.mark.parametrize("streaming", [False, True])
def test_tools_are_described_to_a_model_without_them_where_the_operator_wants_that(
    obliging: Server, ollama: FakeOllama, streaming: bool
) -> None:
    with openai.OpenAI(base_url=f"{obliging.url}/v1", api_key="x", max_retries=0) as client:
        call = '{"name": "get_weather", "parameters": {"city": "Berlin"}}'
        ollama.script(
            "/api/chat", stream(line(call[:20]), line(call[20:]), last()), stream(line("18 C."), last())
        )
        tools: Any = TOOLS
        messages: Any = list(ONE)
        asked: Any = {"model": VISION, "tools": tools}
        if streaming:
            with client.chat.completions.stream(messages=messages, **asked) as running:
                first: Any = running.get_final_completion()
        else:
            first = client.chat.completions.create(messages=messages, **asked)
        [made] = first.choices[0].message.tool_calls
        assert json.loads(made.function.arguments) == {"city": "Berlin"}
        sent = ollama.asked("/api/chat")[-1].body
        assert "tools" not in sent
        assert '"name":"get_weather"' in sent["messages"][0]["content"]
        messages += [first.choices[0].message, {"role": "tool", "tool_call_id": made.id, "content": "18"}]
        second = client.chat.completions.create(messages=messages, **asked)
    assert second.choices[0].message.content == "18 C."
    *_, asked_before, told = ollama.asked("/api/chat")[-1].body["messages"]
    assert asked_before == {"role": "assistant", "content": call.replace(": ", ":").replace(", ", ",")}
    assert told == {"role": "user", "content": "The result of `get_weather`:\n18"}


@pytest.mark.parametrize("streaming", [False, True])
def test_thinking_a_schema_and_tools_go_together(server: Server, ollama: FakeOllama, streaming: bool) -> None:
    form = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    body = {
        "model": "practice-think",
        "tools": TOOLS,
        "reasoning_effort": "high",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "w", "strict": True, "schema": form},
        },
        "stream": streaming,
    }
    calling = chat(server, **{**body, "messages": ONE})
    answering = chat(server, **{**body, "messages": NONE})
    if streaming:
        first, second = deltas(calling.events), deltas(answering.events)
        assert any("tool_calls" in delta for delta in first)
        assert any("reasoning_content" in delta for delta in first)
        text = "".join(delta.get("content") or "" for delta in second)
    else:
        assert called(calling.body["choices"][0]) == ["get_weather"]
        assert calling.body["choices"][0]["message"]["reasoning"]
        text = answering.body["choices"][0]["message"]["content"]
    assert isinstance(json.loads(text)["degrees"], int)
