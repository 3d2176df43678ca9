from __future__ import annotations

import msgspec
import pytest

from o2o.errors import Refused
from o2o.translate.ollama_errors import (
    MAX_TEXT,
    Overflow,
    clean,
    is_call_parse_error,
    is_cut_call,
    is_repetition,
    is_role_order,
    overflow,
    unwrap,
)


def wrapped(message: str, **fields: object) -> str:
    """Return an error of the runner's as Ollama passes it on: JSON in its own sentence."""
    return msgspec.json.encode({"error": {"code": 400, "message": message, **fields}}).decode()


TOO_LONG = wrapped(
    "request (791 tokens) exceeds the available context size (512 tokens), try increasing it",
    type="exceed_context_size_error",
    n_prompt_tokens=791,
    n_ctx=512,
)
ALTERNATE = wrapped(
    "Unable to generate parser for this template. Automatic parser generation failed: \n------------\n"
    "Error: Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/..."
)
CUT = 'llama-server returned invalid tool call arguments for "get_weather": unexpected end of JSON input'


def test_a_sentence_is_taken_out_of_its_wrapping() -> None:
    assert unwrap("plain") == ("plain", {})
    assert unwrap(wrapped("x", type="t")) == ("x", {"code": 400, "message": "x", "type": "t"})
    assert unwrap('{"error":"x"}') == ("x", {})
    twice = msgspec.json.encode({"error": wrapped("x")}).decode()
    assert unwrap(twice)[0] == "x"
    for _ in range(5):
        twice = msgspec.json.encode({"error": twice}).decode()
    assert "error" in unwrap(twice)[0]


@pytest.mark.parametrize(
    "text", ["{", '{"a":1}', '{"error":{"message":5}}', "{" * 10_000, '["x"]', '{"error":1}']
)
def test_other_json_stays_as_it_is(text: str) -> None:
    assert unwrap(text)[0] == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TOO_LONG, Overflow(791, 512)),
        ("request (8 tokens) exceeds the available context size (4 tokens)", Overflow(8, 4)),
        (wrapped("x", type="exceed_context_size_error", n_ctx=5, n_prompt_tokens=True), Overflow(None, 5)),
        (
            "the prompt is longer than the context length currently available to the model",
            Overflow(None, None),
        ),
        ("the input length exceeds the context length", Overflow(None, None)),
        ("input exceeds maximum context length and cannot be truncated further", Overflow(None, None)),
        ("model not found", None),
    ],
)
def test_an_overflow_is_recognised_with_its_numbers(text: str, found: Overflow | None) -> None:
    assert overflow(Refused(400, text)) == found


def test_a_template_that_insists_on_an_order_is_recognised() -> None:
    assert is_role_order(Refused(400, ALTERNATE))
    assert not is_role_order(Refused(500, ALTERNATE))
    assert not is_role_order(Refused(400, ALTERNATE, midway=True))
    assert not is_role_order(Refused(400, TOO_LONG))


def test_a_cut_call_is_recognised() -> None:
    assert is_cut_call(Refused(500, CUT))
    assert not is_cut_call(Refused(500, CUT.replace("unexpected end of JSON input", "invalid character 'x'")))
    assert not is_cut_call(Refused(500, "unexpected end of JSON input"))


@pytest.mark.parametrize(
    "text",
    [
        CUT,
        (
            "llama-server chat error: map[code:500 message:The model produced output that does not match the "
            "expected peg-native format type:server_error]"
        ),
        "XML syntax error on line 5: element <parameter> closed by </function>",
        "error parsing tool call: raw='{\"city\": \"Paris\", }\n', err=invalid character '}'",
        "invalid character '}' looking for beginning of object key string",
    ],
)
def test_what_a_call_parser_says_is_recognised(text: str) -> None:
    assert is_call_parse_error(Refused(500, text, midway=True))
    assert not is_call_parse_error(Refused(400, text))


@pytest.mark.parametrize(
    "text",
    ["an error was encountered while running the model: unexpected EOF", "server busy, please try again."],
)
def test_other_troubles_are_not_a_call_parsers(text: str) -> None:
    assert not is_call_parse_error(Refused(500, text))


def test_the_guard_against_repetition_is_recognised() -> None:
    assert is_repetition(Refused(500, "prediction aborted, token repeat limit reached", midway=True))
    assert not is_repetition(Refused(500, CUT))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'Post "https://ollama.com:443/api/chat?ts=1": dial tcp: lookup ollama.com on 10.0.0.2:53: no such host',
            "a request: no connection",
        ),
        ("see http://10.1.2.3:11434/api for more", "see <address> for more"),
        ("connect to 127.0.0.1:40123 failed", "connect to <address> failed"),
        ("connect to [::1]:40123 failed", "connect to <address> failed"),
        ("localhost:11434 is down, so is gpu1.lan:11434", "<address> is down, so is <address>"),
        ("lookup host on 10.0.0.2 failed", "lookup failed"),
        ("open /root/.ollama/models/blobs/sha256-ab: no such file", "open <path>: no such file"),
        (r"open C:\Users\me\x.gguf", "open <path>"),
        ("roles must alternate user/assistant/user/...", "roles must alternate user/assistant/user/..."),
        ("closed by </function> in llama3.2:70b", "closed by </function> in llama3.2:70b"),
        ("two\n  lines\x00", "two lines\ufffd"),
        ("", ""),
    ],
)
def test_texts_for_callers_lose_addresses_and_paths(text: str, told: str) -> None:
    assert clean(text) == told


def test_texts_for_callers_are_cut() -> None:
    assert len(clean("word " * 10_000)) == MAX_TEXT
