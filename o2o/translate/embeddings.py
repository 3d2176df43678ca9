"""POST /v1/embeddings: what to ask Ollama's /api/embed, and what its replies become; pure.

Ollama embeds one input after another, and one that fails takes its whole request with it, so that many inputs
go in batches. Order, count and usage are those of a single request.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from o2o.errors import BadRequest, Refused, UpstreamInvalid
from o2o.pages import Bytes
from o2o.translate import splicing
from o2o.translate.facts import Facts
from o2o.translate.ollama_options import wrong_type
from o2o.translate.options import runner
from o2o.translate.policy import Policy, Resolved

Body = Mapping[str, Any]

BATCH = 512
"""Inputs in one request to Ollama."""


@dataclass(frozen=True)
class Question:
    """What to ask, batch after batch, and the names of parameters without effect."""

    payloads: list[dict[str, Any]]
    ignored: list[str]

    @property
    def num_ctx(self) -> int | None:
        """The window that is asked for, if one is."""
        window: int | None = self.payloads[0].get("options", {}).get("num_ctx")
        return window

    def with_window(self, window: int | None) -> Question:
        """Return the same question for another window."""
        if window is None or window == self.num_ctx:
            return self
        payloads = [
            {**one, "options": {**one.get("options", {}), "num_ctx": window}} for one in self.payloads
        ]
        return replace(self, payloads=payloads)


def to_ollama(
    body: Body,
    resolved: Resolved,
    *,
    policy: Policy,
    facts: Facts | None,
    num_ctx_header: int | None = None,
    batch: int = BATCH,
) -> Question:
    """Translate a body; raises BadRequest for inputs and dimensions that Ollama cannot do."""
    inputs = _inputs(body.get("input"))
    dimensions = body.get("dimensions")
    _check_dimensions(dimensions, facts.embedding_length if facts is not None else None)
    loading = runner(body, policy=policy, defaults=resolved.defaults, num_ctx_header=num_ctx_header)
    truncate = body.get("truncate")
    shared: dict[str, Any] = {
        "model": resolved.target,
        # Ollama's default is to cut silently.
        "truncate": policy.embed_truncate if truncate is None else bool(truncate),
    }
    if dimensions is not None:
        shared["dimensions"] = dimensions
    if loading.options:
        shared["options"] = loading.options
    if loading.keep_alive is not None:
        shared["keep_alive"] = loading.keep_alive
    starts = range(0, len(inputs), batch)
    return Question([{**shared, "input": inputs[at : at + batch]} for at in starts], loading.ignored)


class Answer(NamedTuple):
    """An answer in parts, none of which can fail, with its length in bytes."""

    parts: Iterator[bytes]
    length: int
    usage: dict[str, int]


def answer(
    raws: Sequence[Bytes],
    body: Body,
    *,
    model: str,
    splice: bool = True,
    breathe: Callable[[], object] = lambda: None,
) -> Answer:
    """Return the answer to a body from the bytes of the replies to all its batches, in order.

    Without `splice` they are parsed in any case, which gives the same answer. `breathe` is called now and then.

    Raises as `to_openai` does, and UpstreamInvalid for bytes that are no replies.
    """
    spliced = _spliced(raws, body, model, breathe) if splice else None
    if spliced is not None:
        return spliced
    completion = to_openai([_decoded(raw) for raw in raws], body, model=model)
    whole = msgspec.json.encode(completion)
    return Answer(iter([whole]), len(whole), completion["usage"])


def _spliced(raws: Sequence[Bytes], body: Body, model: str, breathe: Callable[[], object]) -> Answer | None:
    """Return the answer with the vectors as they are in the replies, or None where these have another shape."""
    packed = body.get("encoding_format") == "base64"
    found = _spliceable(raws, body, breathe, read=packed)
    if found is None:
        return None
    tokens = sum(reply.tokens for reply in found)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    head = b'{"object":"list","data":['
    tail = b"]," + msgspec.json.encode({"model": model, "usage": usage})[1:]
    length = len(head) + len(tail)
    if not packed:
        return Answer(chain([head], splicing.entries(found), [tail]), length + splicing.length(found), usage)
    parts: list[bytes] = []
    try:
        for part in splicing.packed_entries(found):
            parts.append(part)
            breathe()
    except ValueError:  # it is no answer at all, which the plain way tells
        return None
    return Answer(iter([head, *parts, tail]), length + sum(map(len, parts)), usage)


def _spliceable(
    raws: Sequence[Bytes], body: Body, breathe: Callable[[], object], *, read: bool
) -> list[splicing.Rows] | None:
    """Return the vectors in the replies if they can be passed on as they are; those that will be `read` tell then."""
    good: list[splicing.Rows] = []
    for raw in raws:
        found = splicing.rows(raw)
        if found is None or not (read or splicing.are_numbers(found)):
            return None
        good.append(found)
        breathe()
    if sum(len(one.spans) for one in good) != len(_inputs(body.get("input"))):
        return None
    dimensions = body.get("dimensions")
    if dimensions is not None and any(splicing.width(one) != dimensions for one in good):
        return None
    return good


def _decoded(raw: Bytes) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid from None
    if isinstance(reply.get("error"), str):
        raise Refused(500, reply["error"])
    return reply


def to_openai(replies: Sequence[Mapping[str, Any]], body: Body, *, model: str) -> dict[str, Any]:
    """Return the answer to a body from the replies to all its batches, in order.

    Raises UpstreamInvalid when they are not what was asked for, BadRequest when the model's vectors are shorter
    than the dimensions that were wanted.
    """
    vectors = [vector for reply in replies for vector in _vectors(reply)]
    if len(vectors) != len(_inputs(body.get("input"))):
        raise UpstreamInvalid("Ollama returned another number of embeddings than it was asked for.")
    dimensions = body.get("dimensions")
    in_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, vector in enumerate(vectors):
        shown = vector if dimensions is None else shortened(vector, dimensions)
        data.append(
            {"object": "embedding", "index": index, "embedding": packed(shown) if in_base64 else shown}
        )
    tokens = sum(_tokens(reply) for reply in replies)
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def suspect(payloads: Sequence[Mapping[str, Any]], at: int) -> int:
    """Return the index of the longest input of batch `at`: the one that most likely does not fit the model."""
    inputs = payloads[at]["input"]
    before = sum(len(payload["input"]) for payload in payloads[:at])
    return before + max(range(len(inputs)), key=lambda index: len(inputs[index]))


def shortened(vector: list[float], dimensions: int) -> list[float]:
    """Return the first numbers of a vector, brought to length 1 again; older Ollamas leave that to us."""
    _check_dimensions(dimensions, len(vector))
    if dimensions == len(vector):
        return vector
    cut = vector[:dimensions]
    norm = math.hypot(*cut)
    return [number / norm for number in cut] if norm else cut


def packed(vector: Sequence[float]) -> str:
    """Return a vector as OpenAI's base64: little-endian float32."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except OverflowError as error:
        raise UpstreamInvalid("An embedding has a number that is too large.") from error


def _inputs(given: Any) -> list[str]:
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list):
        raise wrong_type("input", "a string or an array of strings", given)
    if not inputs:
        raise BadRequest(
            "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="input",
        )
    for index, text in enumerate(inputs):
        param = "input" if inputs is not given else f"input[{index}]"
        if not isinstance(text, str):
            raise _not_text(text, param)
        if not text:
            raise BadRequest(
                f"Invalid '{param}': string too short. Expected a string with minimum length 1, but got an empty "
                "string instead.",
                code="string_below_min_length",
                param=param,
            )
    return inputs


def _not_text(value: Any, param: str) -> BadRequest:
    if isinstance(value, list) or (isinstance(value, int) and not isinstance(value, bool)):
        return BadRequest(
            "Token arrays cannot be embedded: their numbers belong to another tokenizer. Send the text itself; "
            "with LangChain's OpenAIEmbeddings that is check_embedding_ctx_length=False. (Or let the operator give "
            "this server tiktoken's vocabulary: TIKTOKEN_CACHE_DIR.)",
            code="unsupported_value",
            param="input",
        )
    return wrong_type(param, "a string", value)


def _check_dimensions(dimensions: Any, length: int | None) -> None:
    if isinstance(dimensions, int) and length is not None and dimensions > length:
        raise BadRequest(
            f"Invalid 'dimensions': integer above maximum value. Expected a value <= {length}, but got {dimensions} "
            "instead.",
            code="integer_above_max_value",
            param="dimensions",
        )


def _vectors(reply: Mapping[str, Any]) -> list[list[float]]:
    try:
        return msgspec.convert(reply.get("embeddings"), list[list[float]])
    except msgspec.ValidationError as error:
        raise UpstreamInvalid("Ollama's embeddings are not lists of numbers.") from error


def _tokens(reply: Mapping[str, Any]) -> int:
    tokens = reply.get("prompt_eval_count")
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0 else 0
