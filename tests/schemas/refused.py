"""Bodies that are refused, with the code, the param and the sentence that OpenAI has for them."""

from __future__ import annotations

from tests.schemas.bodies import BASES, TOOL, Body, chat, formatted, part, said


def missing(param: str) -> tuple[str, str, str]:
    return "missing_required_parameter", param, f"Missing required parameter: '{param}'."


def wrong_type(param: str, expected: str, got: str) -> tuple[str, str, str]:
    return "invalid_type", param, f"Invalid type for '{param}': expected {expected}, but got {got} instead."


def unknown(param: str, value: str, supported: str) -> tuple[str, str, str]:
    return "invalid_value", param, f"Invalid value: '{value}'. Supported values are: {supported}."


def bound(param: str, kind: str, side: str, limit: str, got: str) -> tuple[str, str, str]:
    code = f"{kind}_{side}_{'max' if side == 'above' else 'min'}_value"
    text = f"{kind} {side} {'maximum' if side == 'above' else 'minimum'} value"
    return code, param, f"Invalid '{param}': {text}. Expected a value {limit}, but got {got} instead."


def too_long(param: str, noun: str, limit: int, got: int) -> tuple[str, str, str]:
    a = "an" if noun == "array" else "a"
    expected = (
        f"Expected {a} {noun} with maximum length {limit}, but got {a} {noun} with length {got} instead."
    )
    return f"{noun}_above_max_length", param, f"Invalid '{param}': {noun} too long. {expected}"


def empty(param: str, noun: str) -> tuple[str, str, str]:
    a = "an" if noun == "array" else "a"
    expected = f"Expected {a} {noun} with minimum length 1, but got an empty {noun} instead."
    return f"empty_{noun}", param, f"Invalid '{param}': empty {noun}. {expected}"


def not_matching(param: str, expected: str) -> tuple[str, str, str]:
    return "invalid_value", param, f"Invalid '{param}': string does not match pattern. Expected {expected}."


ROLES = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
EFFORTS = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'"
PARTS = "'text', 'image_url', 'input_audio', 'file', 'refusal', and 'input_text'"
NAME = "a string that matches the pattern '^[a-zA-Z0-9_-]+$'"
MODEL = "at most 256 printable characters, without '..'"
TEXTS = "one of a string, array of strings, array of integers, or array of integer arrays"

REFUSED_CHATS: list[tuple[Body, tuple[str, str, str]]] = [
    # model
    ({"messages": BASES["chat"]["messages"]}, missing("model")),
    ({}, missing("model")),
    (chat(model=None), missing("model")),
    (chat(model=""), empty("model", "string")),
    (chat(model=7), wrong_type("model", "a string", "an integer")),
    (chat(model="a\nb"), not_matching("model", MODEL)),
    (chat(model="m\n"), not_matching("model", MODEL)),
    (chat(model="m\x7f"), not_matching("model", MODEL)),
    (chat(model="m\u202egpt"), not_matching("model", MODEL)),
    (chat(model="../../etc/passwd"), not_matching("model", MODEL)),
    (chat(model="m" * 257), not_matching("model", MODEL)),
    # messages
    ({"model": "m"}, missing("messages")),
    ({"model": "m", "temperature": "hot"}, missing("messages")),
    (chat(messages=None), missing("messages")),
    (chat(messages=[]), empty("messages", "array")),
    (chat(messages="x"), wrong_type("messages", "an array of objects", "a string")),
    (chat(messages={"role": "user"}), wrong_type("messages", "an array of objects", "an object")),
    (chat(messages=["hi"]), wrong_type("messages[0]", "an object", "a string")),
    (chat(messages=[None]), wrong_type("messages[0]", "an object", "null")),
    (chat(messages=[{"role": "user"}] * 2049), too_long("messages", "array", 2048, 2049)),
    (said(content="hi"), missing("messages[0].role")),
    (said(role=None, content="hi"), missing("messages[0].role")),
    (said(role="robot"), unknown("messages[0].role", "robot", ROLES)),
    (said(role=1), wrong_type("messages[0].role", "a string", "an integer")),
    (
        said(role="user", content=5),
        wrong_type("messages[0].content", "one of a string or array of objects", "an integer"),
    ),
    (
        said(role="user", content={"type": "text"}),
        wrong_type("messages[0].content", "one of a string or array of objects", "an object"),
    ),
    (said(role="user", content=["x"]), wrong_type("messages[0].content[0]", "an object", "a string")),
    (
        said(role="assistant", reasoning_content=[]),
        wrong_type("messages[0].reasoning_content", "a string", "an array"),
    ),
    (said(role="tool", content="4"), missing("messages[0].tool_call_id")),
    (said(role="tool", content="4", tool_call_id=None), missing("messages[0].tool_call_id")),
    (
        said(role="tool", content="4", tool_call_id=1),
        wrong_type("messages[0].tool_call_id", "a string", "an integer"),
    ),
    (said(role="function", content="4"), missing("messages[0].name")),
    # parts
    (part(text="x"), missing("messages[0].content[1].type")),
    (part(type="video"), unknown("messages[0].content[1].type", "video", PARTS)),
    (part(type="text"), missing("messages[0].content[1].text")),
    (part(type="text", text=["x"]), wrong_type("messages[0].content[1].text", "a string", "an array")),
    (part(type="image_url"), missing("messages[0].content[1].image_url")),
    (part(type="image_url", image_url=None), missing("messages[0].content[1].image_url")),
    (part(type="image_url", image_url={}), missing("messages[0].content[1].image_url.url")),
    (part(type="image_url", image_url={"url": None}), missing("messages[0].content[1].image_url.url")),
    (part(type="image_url", image_url={"url": ""}), empty("messages[0].content[1].image_url.url", "string")),
    (
        part(type="image_url", image_url=["x"]),
        wrong_type("messages[0].content[1].image_url", "one of a string or object", "an array"),
    ),
    (
        part(type="input_audio", input_audio={"format": "wav"}),
        missing("messages[0].content[1].input_audio.data"),
    ),
    (part(type="input_audio"), missing("messages[0].content[1].input_audio")),
    (part(type="file"), missing("messages[0].content[1].file")),
    (part(type="refusal"), missing("messages[0].content[1].refusal")),
    # calls
    (
        said(role="assistant", tool_calls={}),
        wrong_type("messages[0].tool_calls", "an array of objects", "an object"),
    ),
    (said(role="assistant", tool_calls=[{}]), missing("messages[0].tool_calls[0].function")),
    (
        said(role="assistant", tool_calls=[{"function": {}}]),
        missing("messages[0].tool_calls[0].function.name"),
    ),
    (
        said(role="assistant", tool_calls=[{"function": {"name": "f", "arguments": [1]}}]),
        wrong_type("messages[0].tool_calls[0].function.arguments", "one of a string or object", "an array"),
    ),
    (said(role="assistant", tool_calls=[{"type": "custom"}]), missing("messages[0].tool_calls[0].custom")),
    (
        said(role="assistant", tool_calls=[{"type": "magic"}]),
        unknown("messages[0].tool_calls[0].type", "magic", "'function' and 'custom'"),
    ),
    (said(role="assistant", function_call={"arguments": "{}"}), missing("messages[0].function_call.name")),
    # tools
    (chat(tools={}), wrong_type("tools", "an array of objects", "an object")),
    (chat(tools=[TOOL] * 129), too_long("tools", "array", 128, 129)),
    (chat(tools=[{}]), missing("tools[0].type")),
    (
        chat(tools=[TOOL, {"type": "web_search"}]),
        unknown("tools[1].type", "web_search", "'function' and 'custom'"),
    ),
    (chat(tools=[{"type": "function"}]), missing("tools[0].function")),
    (chat(tools=[{"type": "function", "function": {}}]), missing("tools[0].function.name")),
    (chat(tools=[{"type": "function", "function": {"name": ""}}]), empty("tools[0].function.name", "string")),
    (
        chat(tools=[{"type": "function", "function": {"name": "f" * 65}}]),
        too_long("tools[0].function.name", "string", 64, 65),
    ),
    (
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": "{}"}}]),
        wrong_type("tools[0].function.parameters", "an object", "a string"),
    ),
    (chat(tools=[{"type": "custom", "custom": {}}]), missing("tools[0].custom.name")),
    (chat(tools=[{"type": "custom"}]), missing("tools[0].custom")),
    (
        chat(tool_choice="foo"),
        unknown("tool_choice", "foo", "'none', 'auto', 'required', and 'any'"),
    ),
    (chat(tool_choice=1), wrong_type("tool_choice", "one of a string or object", "an integer")),
    (chat(tool_choice={}), missing("tool_choice.function")),
    (chat(tool_choice={"type": "function"}), missing("tool_choice.function")),
    (chat(tool_choice={"type": "function", "function": {}}), missing("tool_choice.function.name")),
    (chat(tool_choice={"type": "custom"}), missing("tool_choice.custom")),
    (chat(tool_choice={"type": "allowed_tools"}), missing("tool_choice.allowed_tools")),
    (
        chat(tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "any", "tools": []}}),
        unknown("tool_choice.allowed_tools.mode", "any", "'auto' and 'required'"),
    ),
    (
        chat(tool_choice={"type": "hosted"}),
        unknown("tool_choice.type", "hosted", "'function', 'custom', and 'allowed_tools'"),
    ),
    (chat(functions=[{}]), missing("functions[0].name")),
    (chat(function_call="any"), unknown("function_call", "any", "'none' and 'auto'")),
    (chat(function_call={}), missing("function_call.name")),
    # formats
    (
        chat(response_format={"type": "object"}),
        unknown("response_format.type", "object", "'json_object', 'json_schema', and 'text'"),
    ),
    (chat(response_format={}), missing("response_format.type")),
    (chat(response_format="json"), wrong_type("response_format", "an object", "a string")),
    (chat(response_format={"type": "json_schema"}), missing("response_format.json_schema")),
    (
        formatted(schema={}),
        (
            "missing_required_parameter",
            "response_format.json_schema",
            "Missing required parameter: 'response_format.json_schema.name'.",
        ),
    ),
    (
        formatted(name="a"),
        (
            "missing_required_parameter",
            "response_format.json_schema",
            "Missing required parameter: 'response_format.json_schema.schema'.",
        ),
    ),
    (
        formatted(name="a", schema=None),
        (
            "missing_required_parameter",
            "response_format.json_schema",
            "Missing required parameter: 'response_format.json_schema.schema'.",
        ),
    ),
    (formatted(name="a b", schema={}), not_matching("response_format.json_schema.name", NAME)),
    (formatted(name="a\n", schema={}), not_matching("response_format.json_schema.name", NAME)),
    (formatted(name="", schema={}), empty("response_format.json_schema.name", "string")),
    (formatted(name="a" * 65, schema={}), too_long("response_format.json_schema.name", "string", 64, 65)),
    (
        formatted(name="a", schema=[]),
        wrong_type("response_format.json_schema.schema", "an object", "an array"),
    ),
    (chat(format="yaml"), unknown("format", "yaml", "'json'")),
    # sampling
    (chat(temperature=2.1), bound("temperature", "decimal", "above", "<= 2", "2.1")),
    (chat(temperature=200), bound("temperature", "decimal", "above", "<= 2", "200")),
    (chat(temperature=-0.1), bound("temperature", "decimal", "below", ">= 0", "-0.1")),
    (chat(temperature="hot"), wrong_type("temperature", "a decimal", "a string")),
    (chat(temperature=True), wrong_type("temperature", "a decimal", "a boolean")),
    (chat(top_p=1.5), bound("top_p", "decimal", "above", "<= 1", "1.5")),
    (chat(frequency_penalty=-2.5), bound("frequency_penalty", "decimal", "below", ">= -2", "-2.5")),
    (chat(presence_penalty=3), bound("presence_penalty", "decimal", "above", "<= 2", "3")),
    (chat(n=0), bound("n", "integer", "below", ">= 1", "0")),
    (chat(n=129), bound("n", "integer", "above", "<= 128", "129")),
    (chat(n=10**400), bound("n", "integer", "above", "<= 128", "a number too large to show")),
    (chat(n=1.5), wrong_type("n", "an integer", "a decimal")),
    (chat(n=True), wrong_type("n", "an integer", "a boolean")),
    (chat(seed=2**63), bound("seed", "integer", "above", "<= 9223372036854775807", str(2**63))),
    (chat(top_logprobs=21), bound("top_logprobs", "integer", "above", "<= 20", "21")),
    (chat(logprobs=5), wrong_type("logprobs", "a boolean", "an integer")),
    (chat(max_tokens=0), bound("max_tokens", "integer", "below", ">= 1", "0")),
    (chat(max_tokens=-2), bound("max_tokens", "integer", "below", ">= 1", "-2")),
    (chat(max_completion_tokens=0), bound("max_completion_tokens", "integer", "below", ">= 1", "0")),
    (chat(max_tokens="5"), wrong_type("max_tokens", "an integer", "a string")),
    (chat(stop=["a"] * 5), too_long("stop", "array", 4, 5)),
    (chat(stop=[1]), wrong_type("stop[0]", "a string", "an integer")),
    (chat(stop=1), wrong_type("stop", "one of a string or array of strings", "an integer")),
    (chat(logit_bias={"50256": 101}), bound("logit_bias.50256", "decimal", "above", "<= 100", "101")),
    (chat(logit_bias={"a b": 101}), bound("logit_bias", "decimal", "above", "<= 100", "101")),
    (chat(logit_bias=[]), wrong_type("logit_bias", "an object", "an array")),
    # the rest of OpenAI's
    (chat(stream="yes"), wrong_type("stream", "a boolean", "a string")),
    (chat(stream_options=True), wrong_type("stream_options", "an object", "a boolean")),
    (
        chat(stream_options={"include_usage": 1}),
        wrong_type("stream_options.include_usage", "a boolean", "an integer"),
    ),
    (chat(reasoning_effort="extreme"), unknown("reasoning_effort", "extreme", EFFORTS)),
    (chat(reasoning={"effort": "extreme"}), unknown("reasoning.effort", "extreme", EFFORTS)),
    (
        chat(service_tier="gold"),
        unknown("service_tier", "gold", "'auto', 'default', 'flex', 'scale', 'priority', and 'fast'"),
    ),
    (chat(verbosity="chatty"), unknown("verbosity", "chatty", "'low', 'medium', and 'high'")),
    (chat(modalities=["video"]), unknown("modalities[0]", "video", "'text' and 'audio'")),
    (chat(metadata={"a": 1}), wrong_type("metadata.a", "a string", "an integer")),
    (chat(metadata={"a": "x" * 513}), too_long("metadata.a", "string", 512, 513)),
    (chat(metadata={"a" * 65: "x"}), too_long("metadata", "string", 64, 65)),
    (
        chat(metadata={str(k): "" for k in range(17)}),
        (
            "object_above_max_properties",
            "metadata",
            (
                "Invalid 'metadata': too many properties. Expected an object with maximum property count 16, "
                "but got an object with property count 17 instead."
            ),
        ),
    ),
    # local extras
    (chat(options=[]), wrong_type("options", "an object", "an array")),
    (chat(options={"num_ctx": "4096"}), wrong_type("options.num_ctx", "an integer", "a string")),
    (chat(options={"num_ctx": 0}), bound("options.num_ctx", "integer", "below", ">= 1", "0")),
    (chat(options={"temperature": "hot"}), wrong_type("options.temperature", "a decimal", "a string")),
    (
        chat(options={"stop": {}}),
        wrong_type("options.stop", "one of a string or array of strings", "an object"),
    ),
    (chat(num_ctx=0), bound("num_ctx", "integer", "below", ">= 1", "0")),
    (chat(keep_alive=True), wrong_type("keep_alive", "one of a string or decimal", "a boolean")),
    (chat(think=1), wrong_type("think", "one of a boolean or string", "an integer")),
    (chat(guided_choice=[]), empty("guided_choice", "array")),
    (chat(guided_choice="yes"), wrong_type("guided_choice", "an array of strings", "a string")),
    (chat(guided_json=[]), wrong_type("guided_json", "one of a string or object", "an array")),
    (chat(chat_template_kwargs="x"), wrong_type("chat_template_kwargs", "an object", "a string")),
    (chat(thinking={"type": 1}), wrong_type("thinking.type", "a string", "an integer")),
    # the Responses API's form
    ({"model": "m", "input": []}, empty("input", "array")),
    ({"model": "m", "input": ""}, empty("input", "string")),
    ({"model": "m", "input": ["x"]}, wrong_type("input[0]", "an object", "a string")),
    ({"model": "m", "input": 1}, missing("messages")),
    (
        {"model": "m", "input": {"role": "user"}},
        wrong_type("input", "one of a string or array of objects", "an object"),
    ),
]

REFUSED_COMPLETIONS: list[tuple[Body, tuple[str, str, str]]] = [
    ({"model": "m"}, missing("prompt")),
    ({"prompt": "x"}, missing("model")),
    ({"model": "m", "prompt": None}, missing("prompt")),
    ({"model": "m", "prompt": 5}, wrong_type("prompt", TEXTS, "an integer")),
    ({"model": "m", "prompt": []}, empty("prompt", "array")),
    ({"model": "m", "prompt": ["a", 1]}, wrong_type("prompt[1]", "a string", "an integer")),
    ({"model": "m", "prompt": [1, "a"]}, wrong_type("prompt[1]", "an integer", "a string")),
    ({"model": "m", "prompt": [[1], [True]]}, wrong_type("prompt[1][0]", "an integer", "a boolean")),
    (
        {"model": "m", "prompt": [{}]},
        wrong_type("prompt[0]", "one of a string, integer, or array of integers", "an object"),
    ),
    ({"model": "m", "prompt": ["x"] * 2049}, too_long("prompt", "array", 2048, 2049)),
    ({"model": "m", "prompt": "x", "logprobs": 6}, bound("logprobs", "integer", "above", "<= 5", "6")),
    ({"model": "m", "prompt": "x", "best_of": 21}, bound("best_of", "integer", "above", "<= 20", "21")),
    ({"model": "m", "prompt": "x", "max_tokens": -2}, bound("max_tokens", "integer", "below", ">= 0", "-2")),
    ({"model": "m", "prompt": "x", "suffix": 1}, wrong_type("suffix", "a string", "an integer")),
    ({"model": "m", "prompt": "x", "echo": "yes"}, wrong_type("echo", "a boolean", "a string")),
    ({"model": "m", "prompt": "x", "stop": ["a"] * 5}, too_long("stop", "array", 4, 5)),
]

REFUSED_EMBEDDINGS: list[tuple[Body, tuple[str, str, str]]] = [
    ({"model": "m"}, missing("input")),
    ({"model": "m", "input": None}, missing("input")),
    ({"model": "m", "input": ""}, empty("input", "string")),
    ({"model": "m", "input": []}, empty("input", "array")),
    ({"model": "m", "input": ["a", ""]}, empty("input[1]", "string")),
    ({"model": "m", "input": {}}, wrong_type("input", TEXTS, "an object")),
    ({"model": "m", "input": ["a", None]}, wrong_type("input[1]", "a string", "null")),
    ({"model": "m", "input": ["a"] * 2049}, too_long("input", "array", 2048, 2049)),
    ({"model": "m", "input": [[]]}, empty("input[0]", "array")),
    ({"model": "m", "input": [-1]}, bound("input[0]", "integer", "below", ">= 0", "-1")),
    (
        {"model": "m", "input": "x", "encoding_format": "int8"},
        unknown("encoding_format", "int8", "'float' and 'base64'"),
    ),
    ({"model": "m", "input": "x", "dimensions": 0}, bound("dimensions", "integer", "below", ">= 1", "0")),
    (
        {"model": "m", "input": "x", "options": {"num_ctx": 1.5}},
        wrong_type("options.num_ctx", "an integer", "a decimal"),
    ),
]

REFUSED = [
    (endpoint, body, expected)
    for endpoint, table in (
        ("chat", REFUSED_CHATS),
        ("completions", REFUSED_COMPLETIONS),
        ("embeddings", REFUSED_EMBEDDINGS),
    )
    for body, expected in table
]
