"""What Ollama said instead of an answer -> the error that a caller sees.

`_RULES` is the table: what a sentence means, first match first. Whatever status a sentence came with, a fault
of the caller's is a 4xx here and everything else a 5xx. Texts that are passed on lose addresses and paths:
those are nobody's business but the operator's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from o2o.errors import (
    BadRequest,
    ContextLengthExceeded,
    Forbidden,
    ModelLoadFailed,
    ModelNotFound,
    O2OError,
    RateLimited,
    Refused,
    ServerOverloaded,
    ToolCallParseError,
    UpstreamAuthError,
    UpstreamFailed,
    UpstreamTimeout,
    clip,
)
from o2o.translate.ollama_errors import (
    Overflow,
    clean,
    is_call_parse_error,
    is_cut_call,
    is_repetition,
    is_role_order,
    overflow,
    unwrap,
)

__all__ = [
    "About",
    "Overflow",
    "is_call_parse_error",
    "is_cut_call",
    "is_repetition",
    "is_role_order",
    "overflow",
    "to_error",
]

About = Literal["messages", "prompt", "input"]

_SETTINGS: dict[About, str] = {
    "messages": "(A larger window: num_ctx in the request, or O2O_NUM_CTX on this server.)",
    "prompt": "(A larger window: num_ctx in the request, or O2O_NUM_CTX on this server.)",
    "input": "(Or O2O_EMBED_TRUNCATE=true on this server, which cuts such inputs.)",
}
_NO_MODEL = re.compile(r"\bmodel\b.*\bnot found\b", re.DOTALL)
_HEADER_VALUE = re.compile(r"[A-Za-z0-9,: .+-]{1,40}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,4}", re.ASCII)
_LONGEST_WAIT = 48.0
"""Seconds; with a quarter more it is a minute, beyond which OpenAI's clients of old did not wait."""


class _Case(NamedTuple):
    """All that a rule may look at to build its error."""

    refused: Refused
    text: str
    match: re.Match[str]
    model: str
    about: About
    tools: bool


_Build = Callable[[_Case], O2OError]


def to_error(
    refused: Refused,
    *,
    model: str,
    about: About,
    tools: bool = False,
    limit: int | None = None,
    window: int | None = None,
    index: int | None = None,
) -> O2OError:
    """Return the error that a caller sees for what Ollama said.

    `model` is the name the caller used, `about` the parameter that holds the prompt, `tools` whether tools were
    sent, `limit` how many tokens the answer might have. Where Ollama gives no numbers with an overflow, `window`
    is the model's known length in tokens and `index` the input that does not fit.
    """
    found = overflow(refused)
    if found is not None:
        return _too_long(found, about, window, index)
    text = unwrap(refused.text)[0]
    early = _by_status(refused, text, model)
    if early is not None:
        return early
    for pattern, build in _RULES:
        match = pattern.search(text)
        if match:
            return build(_Case(refused, text, match, clip(model), about, tools))
    if tools and is_call_parse_error(refused):
        return _broken_call(refused, limit)
    if refused.upstream_status in (400, 422):
        return BadRequest(clean(text) or "Ollama refused the request.")
    return UpstreamFailed(clean(text))


def _too_long(found: Overflow, about: About, window: int | None, index: int | None) -> ContextLengthExceeded:
    # Callers' libraries look for OpenAI's words, so they come first and stay as they are.
    limit = window if found.n_ctx is None else found.n_ctx
    what = about if index is None else f"{about}[{index}]"
    said = (
        "This model's maximum context length was exceeded."
        if limit is None
        else f"This model's maximum context length is {limit} tokens."
    )
    if found.n_prompt_tokens is not None:
        said += f" However, your {what} resulted in {found.n_prompt_tokens} tokens."
    elif limit is not None or index is not None:
        said += f" However, your {what} resulted in more."
    said += f" Please reduce the length of the {about}. {_SETTINGS[about]}"
    return ContextLengthExceeded(said, param=about)


def _by_status(refused: Refused, text: str, model: str) -> O2OError | None:
    status = refused.upstream_status
    if status == 401:
        if text.strip() == "unauthorized":
            return UpstreamAuthError(
                "Ollama is not signed in to its cloud. Run `ollama signin` on the machine that runs Ollama."
            )
        return UpstreamAuthError(
            "The Ollama server, or what stands before it, wants a key (O2O_UPSTREAM_API_KEY)."
        )
    if status == 403:
        if "cloud is disabled" in text:
            return Forbidden(clean(text), param="model")
        return UpstreamAuthError(
            "The Ollama server refused this proxy's request. Its OLLAMA_HOST and OLLAMA_ORIGINS decide that, or "
            "what stands before it."
        )
    if status == 404:
        if _NO_MODEL.search(text):
            return ModelNotFound(f"The model `{clip(model)}` does not exist or you do not have access to it.")
        return UpstreamFailed("What answers at OLLAMA_API_BASE_URL has no such path; is it an Ollama server?")
    return _rate_limited(refused, text) if status == 429 else None


def _rate_limited(refused: Refused, text: str) -> RateLimited:
    waits = {
        shown: refused.upstream_headers[name]
        for name, shown in (("retry-after", "Retry-After"), ("retry-after-ms", "retry-after-ms"))
        if _HEADER_VALUE.fullmatch(refused.upstream_headers.get(name, ""))
    }
    return RateLimited(clean(text), headers=waits)


def _broken_call(refused: Refused, limit: int | None) -> ToolCallParseError:
    if is_cut_call(refused) and limit is None:
        return ToolCallParseError("The model's tool call ended before it was complete.")
    return ToolCallParseError()


# --- what the rules build


def _busy(case: _Case) -> O2OError:
    wait = case.refused.upstream_headers.get("retry-after", "")
    if _SECONDS.fullmatch(wait):
        seconds = min(float(wait), _LONGEST_WAIT)
        return ServerOverloaded(seconds=seconds, spread=seconds / 4)
    return ServerOverloaded(seconds=2.0, spread=8.0)


def _bad(param: str | None, code: str | None = None, message: str = "") -> _Build:
    """Return a rule for a fault of the caller's.

    A param of None is the one that holds the prompt; without a message Ollama's own text is told.
    """

    def build(case: _Case) -> O2OError:
        said = message.replace("{model}", case.model) or clean(case.text)
        return BadRequest(said, code=code, param=case.about if param is None else param)

    return build


def _failed(message: str) -> _Build:
    return lambda case: UpstreamFailed(message)


def _load_failed(case: _Case) -> O2OError:
    return ModelLoadFailed(clean(case.text))


def _load_stalled(case: _Case) -> O2OError:
    return UpstreamTimeout("Ollama took too long to load the model.")


def _cloud_off(case: _Case) -> O2OError:
    return Forbidden(clean(case.text), param="model")


def _schema(case: _Case) -> O2OError:
    # Rendered path: the text begins with the field of the answer's schema. On the other path tools and
    # answers have the same words.
    reason = clean(case.text[case.match.end() :])
    if case.tools and not case.text.startswith("Field 'json_schema'"):
        return BadRequest(
            f"Invalid schema for a function: {reason}", code="invalid_function_parameters", param="tools"
        )
    return BadRequest(f"Invalid schema for response_format: {reason}", param="response_format")


def _template(case: _Case) -> O2OError:
    reason = clean(case.text[case.match.end() :])
    return BadRequest(
        f"The model's chat template refuses these messages: {reason}", code="invalid_value", param=case.about
    )


def _option(case: _Case) -> O2OError:
    return BadRequest(clean(case.text), code="invalid_type", param=f"options.{clip(case.match[1], 40)}")


def _compiled(rules: tuple[tuple[str, _Build], ...]) -> tuple[tuple[re.Pattern[str], _Build], ...]:
    return tuple((re.compile(pattern), build) for pattern, build in rules)


_UNSUPPORTED = "unsupported_parameter"
_RULES = _compiled(
    (
        # Ollama's own troubles.
        (r"server busy|maximum pending requests", _busy),
        (r"ollama cloud is disabled", _cloud_off),
        (
            (
                r"requires? more (?:system )?memory|more system memory|out of memory|unable to load|"
                r"unable to allocate|error loading model|failed to load model|template error|"
                r"(?:unknown|unsupported) model architecture"
            ),
            _load_failed,
        ),
        (r"timed out waiting for .* to start", _load_stalled),
        (
            (
                r"runner has unexpectedly stopped|process has terminated|process no longer running|"
                r"error was encountered while running the model"
            ),
            _failed("Ollama's model runner stopped unexpectedly."),
        ),
        (r"https?://[^\s\"]*ollama\.com", _failed("Ollama could not reach its cloud.")),
        (r"embedding contains NaN or Inf", _failed("The model made an embedding that is not of numbers.")),
        # What a model cannot do.
        (
            r"does not support embedding",
            _bad("model", None, "`{model}` does not support embeddings. Use a model made for them."),
        ),
        (
            r"does not support (?:chat|generate|completion)",
            _bad("model", None, "`{model}` does not support generating text; it is for embeddings only."),
        ),
        (r"does not support tools", _bad("tools", _UNSUPPORTED, "`{model}` does not support tools.")),
        (
            r"does not support thinking",
            _bad("reasoning_effort", _UNSUPPORTED, "`{model}` does not support thinking."),
        ),
        (
            r"does not support insert",
            _bad("suffix", _UNSUPPORTED, "`{model}` does not support insert, so it cannot take a 'suffix'."),
        ),
        (
            (
                r"Multimodal data provided|(?:image|audio) input is not supported|"
                r"does not support (?:images|vision|audio)"
            ),
            _bad(None, "unsupported_content", "`{model}` does not support images or audio, only text."),
        ),
        (r"image generation models", _bad("model")),
        # What is wrong with the request.
        (
            r"illegal base64 data|decode WebP image|failed to (?:decode|load|process) image",
            _bad(None, "invalid_image"),
        ),
        (r"model is required|invalid model name|either :local or :cloud", _bad("model", "invalid_value")),
        (r"JSON schema conversion failed:?", _schema),
        (r"Jinja Exception:?", _template),
        (r"Cannot have 2 or more assistant messages", _bad(None, "invalid_value")),
        (r"logprobs is not supported", _bad("logprobs", _UNSUPPORTED)),
        (r"top_logprobs must be", _bad("top_logprobs", "invalid_value")),
        (r'^option "([^"]*)" must be', _option),
        (r"^invalid format:", _bad("response_format", "invalid_value")),
        (r"invalid think value|think must be", _bad("reasoning_effort", "invalid_value")),
        (r"^time: |^Unsupported type: ", _bad("keep_alive", "invalid_value")),
        (r"invalid input type", _bad(None, "invalid_type")),
    )
)
