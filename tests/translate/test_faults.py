from __future__ import annotations

import msgspec
import pytest

from o2o import errors
from o2o.errors import O2OError, Refused
from o2o.translate.faults import to_error


def wrapped(message: str, **fields: object) -> str:
    """Return an error of the runner's as Ollama passes it on: JSON in its own sentence."""
    return msgspec.json.encode({"error": {"message": message, **fields}}).decode()


def seen(status: int, text: str, **others: object) -> O2OError:
    return to_error(Refused(status, text), **{"model": "m", "about": "messages", **others})  # type: ignore[arg-type]  # the cases vary


SCHEMA = "Field 'json_schema': \"json_schema\": JSON schema conversion failed:\nPattern must start with '^'"
NATIVE_SCHEMA = (
    "Unable to generate parser for this template. Automatic parser generation failed: JSON schema conversion "
    'failed:\nUnrecognized schema: {"type":"","properties":null}'
)
ALTERNATE = (
    "Unable to generate parser for this template. Automatic parser generation failed: \n------------\n"
    "Error: Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/..."
)
CUT = 'llama-server returned invalid tool call arguments for "f": unexpected end of JSON input'
UNREADABLE = (
    "llama-server chat error: map[code:500 message:The model produced output that does not match the expected "
    "peg-native format type:server_error]"
)
NOWHERE = (
    'Post "https://ollama.com:443/api/chat?ts=1": dial tcp: lookup ollama.com on <resolver>:53: no such host'
)

# What Ollama 0.33 answered, and what OpenAI's callers get: status, type, code, param.
TABLE: list[tuple[int, str, int, str, str | None, str | None]] = [
    (404, "model 'nosuch:latest' not found", 404, "caller", "model_not_found", "model"),
    (404, 'model "nosuch:latest" not found, try pulling it first', 404, "caller", "model_not_found", "model"),
    (404, "model '' not found", 404, "caller", "model_not_found", "model"),
    (404, "404 page not found", 502, "server", "upstream_error", None),
    (400, "model is required", 400, "caller", "invalid_value", "model"),
    (400, "invalid model name", 400, "caller", "invalid_value", "model"),
    (400, 'use either :local or :cloud, not both: "x:cloud:local"', 400, "caller", "invalid_value", "model"),
    (
        400,
        "registry.ollama.ai/library/echo:270m does not support tools",
        400,
        "caller",
        "unsupported_parameter",
        "tools",
    ),
    (400, '"m" does not support thinking', 400, "caller", "unsupported_parameter", "reasoning_effort"),
    (400, "library/gemma3:270m does not support insert", 400, "caller", "unsupported_parameter", "suffix"),
    (400, '"all-minilm" does not support chat', 400, "caller", None, "model"),
    (400, '"all-minilm" does not support generate', 400, "caller", None, "model"),
    (
        501,
        "This server does not support embeddings. Start it with `--embeddings`",
        400,
        "caller",
        None,
        "model",
    ),
    (500, "this model does not support embeddings", 400, "caller", None, "model"),
    (
        400,
        wrapped("Multimodal data provided, but model does not support multimodal requests."),
        400,
        "caller",
        "unsupported_content",
        "messages",
    ),
    (500, wrapped("image input is not supported - hint"), 400, "caller", "unsupported_content", "messages"),
    (500, wrapped("audio input is not supported - hint"), 400, "caller", "unsupported_content", "messages"),
    (500, "decode WebP image: riff: list subchunk too long", 400, "caller", "invalid_image", "messages"),
    (400, "illegal base64 data at input byte 4", 400, "caller", "invalid_image", "messages"),
    (400, "image generation models are not currently supported", 400, "caller", None, "model"),
    (400, wrapped(SCHEMA), 400, "caller", None, "response_format"),
    (400, wrapped(NATIVE_SCHEMA), 400, "caller", None, "response_format"),
    (400, wrapped(ALTERNATE), 400, "caller", "invalid_value", "messages"),
    (
        400,
        wrapped("Cannot have 2 or more assistant messages at the end of the list."),
        400,
        "caller",
        "invalid_value",
        "messages",
    ),
    (
        400,
        wrapped("logprobs is not supported with tools + stream"),
        400,
        "caller",
        "unsupported_parameter",
        "logprobs",
    ),
    (400, "top_logprobs must be between 0 and 20", 400, "caller", "invalid_value", "top_logprobs"),
    (
        500,
        'option "temperature" must be of type float32',
        400,
        "caller",
        "invalid_type",
        "options.temperature",
    ),
    (500, 'option "stop" must be of an array of strings', 400, "caller", "invalid_type", "options.stop"),
    (
        500,
        'invalid format: "5"; expected "json" or a valid JSON Schema object',
        400,
        "caller",
        "invalid_value",
        "response_format",
    ),
    (400, 'invalid think value: "banana" (must be …)', 400, "caller", "invalid_value", "reasoning_effort"),
    (400, "think must be a boolean or string", 400, "caller", "invalid_value", "reasoning_effort"),
    (400, 'time: missing unit in duration "300"', 400, "caller", "invalid_value", "keep_alive"),
    (400, "Unsupported type: 'bool'", 400, "caller", "invalid_value", "keep_alive"),
    (400, "invalid input type", 400, "caller", "invalid_type", "messages"),
    (400, "json: cannot unmarshal string into Go struct field", 400, "caller", None, None),
    (400, "unexpected EOF", 400, "caller", None, None),
    (400, "", 400, "caller", None, None),
    (422, "what?", 400, "caller", None, None),
    (401, "unauthorized", 502, "server", "upstream_auth_error", None),
    (401, "", 502, "server", "upstream_auth_error", None),
    (403, "", 502, "server", "upstream_auth_error", None),
    (403, "<html>", 502, "server", "upstream_auth_error", None),
    (403, "ollama cloud is disabled: remote model is unavailable", 403, "caller", None, "model"),
    (500, "ollama cloud is disabled: remote model is unavailable", 403, "caller", None, "model"),
    (429, "slow down", 429, "requests", "rate_limit_exceeded", None),
    (
        503,
        "server busy, please try again.  maximum pending requests exceeded",
        503,
        "server",
        "server_overloaded",
        None,
    ),
    (503, "account unavailable", 502, "server", "upstream_error", None),
    (499, "request canceled", 502, "server", "upstream_error", None),
    (405, "method not allowed", 502, "server", "upstream_error", None),
    (
        500,
        "model requires more system memory (9 GiB) than is available",
        500,
        "server",
        "model_load_failed",
        None,
    ),
    (500, "cudaMalloc failed: out of memory", 500, "server", "model_load_failed", None),
    (500, "unable to load full model on GPU", 500, "server", "model_load_failed", None),
    (500, "template error: unexpected {{end}}", 500, "server", "model_load_failed", None),
    (500, "timed out waiting for llama-server to start", 504, "server", "upstream_timeout", None),
    (
        500,
        "model runner has unexpectedly stopped, this may be due to …",
        502,
        "server",
        "upstream_error",
        None,
    ),
    (
        500,
        "an error was encountered while running the model: unexpected EOF",
        502,
        "server",
        "upstream_error",
        None,
    ),
    (500, "llama-server process has terminated: signal: killed", 502, "server", "upstream_error", None),
    (502, NOWHERE, 502, "server", "upstream_error", None),
    (400, "embedding contains NaN or Inf values", 502, "server", "upstream_error", None),
    (500, "nobody has seen this text", 502, "server", "upstream_error", None),
    (500, "", 502, "server", "upstream_error", None),
]
TYPES = {"caller": "invalid_request_error", "server": "server_error", "requests": "requests"}


@pytest.mark.parametrize(("status", "text", "shown", "kind", "code", "param"), TABLE)
def test_what_ollama_says_has_its_meaning_for_callers(
    status: int, text: str, shown: int, kind: str, code: str | None, param: str | None
) -> None:
    error = seen(status, text)
    assert (error.http_status, error.type, error.code, error.param) == (shown, TYPES[kind], code, param)
    assert error.message
    assert "://" not in error.message
    assert "dial tcp" not in error.message
    assert len(error.message) <= 600


def test_unwrapped_texts_reach_callers_without_their_wrapping() -> None:
    assert seen(400, wrapped(ALTERNATE)).message == (
        "The model's chat template refuses these messages: "
        "Conversation roles must alternate user/assistant/user/assistant/..."
    )
    assert seen(400, wrapped(SCHEMA)).message.endswith("response_format: Pattern must start with '^'")
    assert seen(400, "unexpected EOF").message == "unexpected EOF"
    assert seen(500, "odd text at 10.0.0.1:80").message == "odd text at <address>"


def test_the_name_in_a_message_is_the_callers() -> None:
    error = seen(404, "model 'llama3.2:latest' not found", model="gpt-4o")
    assert error.message == "The model `gpt-4o` does not exist or you do not have access to it."
    assert (
        seen(400, "x does not support tools", model="{0}{model}").message
        == "`{0}{model}` does not support tools."
    )


@pytest.mark.parametrize(
    ("status", "text", "others", "message"),
    [
        (
            400,
            wrapped("…", type="exceed_context_size_error", n_prompt_tokens=5024, n_ctx=4096),
            {},
            (
                "This model's maximum context length is 4096 tokens. However, your messages resulted in 5024 tokens. "
                "Please reduce the length of the messages. "
            ),
        ),
        (
            400,
            "the prompt is longer than the context length currently available to the model",
            {"about": "prompt"},
            "This model's maximum context length was exceeded. Please reduce the length of the prompt. ",
        ),
        (
            400,
            "the input length exceeds the context length",
            {"about": "input", "window": 512, "index": 3},
            (
                "This model's maximum context length is 512 tokens. However, your input[3] resulted in more. "
                "Please reduce the length of the input. "
            ),
        ),
        (
            500,
            "the input length exceeds the context length",
            {"about": "input", "index": 0},
            (
                "This model's maximum context length was exceeded. However, your input[0] resulted in more. "
                "Please reduce the length of the input. "
            ),
        ),
    ],
)
def test_an_overflow_is_told_in_openais_words(
    status: int, text: str, others: dict[str, object], message: str
) -> None:
    error = seen(status, text, **others)
    assert isinstance(error, errors.ContextLengthExceeded)
    assert (error.code, error.param) == ("context_length_exceeded", others.get("about", "messages"))
    assert error.message.startswith(message)
    assert "O2O_" in error.message[len(message) :]


@pytest.mark.parametrize(
    "text", [CUT, UNREADABLE, "invalid character '}' looking for beginning of object key"]
)
def test_a_call_that_nobody_can_read_is_the_models_fault(text: str) -> None:
    error = seen(500, text, tools=True)
    assert (error.http_status, error.code) == (502, "tool_call_parse_error")
    assert seen(500, text).code == "upstream_error"


def test_a_call_that_ended_too_early_is_told_unless_a_limit_explains_it() -> None:
    assert "ended before" in seen(500, CUT, tools=True).message
    assert "ended before" not in seen(500, CUT, tools=True, limit=5).message


def test_a_schema_may_be_that_of_a_tool() -> None:
    error = seen(400, wrapped(NATIVE_SCHEMA), tools=True)
    assert (error.code, error.param) == ("invalid_function_parameters", "tools")
    assert seen(400, wrapped(SCHEMA), tools=True).param == "response_format"


def test_when_to_come_back_is_passed_on() -> None:
    def limited(**headers: str) -> dict[str, str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return to_error(Refused(429, "", headers=names), model="m", about="messages").headers

    assert limited(Retry_After="7") == {"Retry-After": "7"}
    assert limited(retry_after_ms="70", x="y") == {"retry-after-ms": "70"}
    assert limited(retry_after="7\r\nSet-Cookie: a") == {}
    assert limited() == {}
    assert limited(retry_after="Mon, 23 Nov 2026 13:35:46 GMT")["Retry-After"].startswith("Mon")


@pytest.mark.parametrize(("value", "shown"), [("7", "7"), ("soon", "2"), ("", "2")])
def test_a_full_queue_says_when_to_come_back(value: str, shown: str) -> None:
    refused = Refused(503, "server busy, please try again.", headers={"Retry-After": value})
    assert to_error(refused, model="m", about="messages").headers["Retry-After"] == shown


@pytest.mark.parametrize(
    ("status", "text"),
    [(500, "requires more system memory"), (401, ""), (500, "timed out waiting for x to start")],
)
def test_where_a_retry_cannot_help_callers_are_told(status: int, text: str) -> None:
    assert seen(status, text).headers["x-should-retry"] == "false"
