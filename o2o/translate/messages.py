"""Chat messages of OpenAI -> messages of Ollama's native API.

They travel as they came, one for one and in their order: templates differ in what they make of roles, and
only they know. Two changes are always made, since no model of Ollama's understands otherwise: `developer` is
`system`, and assistant messages at the very end are one. `merge_roles` makes the rest, when a template insists.

Text parts of one message are put together as they are. Where an image or a file stood between two texts they
are kept apart by a line break, since Ollama has images beside the text and not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from o2o.errors import BadRequest, clip
from o2o.translate.facts import Facts, can
from o2o.translate.images import MAX_COUNT, check_image, data_url, from_base64, image, is_image, too_many
from o2o.translate.ollama_options import wrong_type
from o2o.verbatim import Base64

Message = dict[str, Any]

_PLAIN = frozenset(["system", "user", "assistant"])
_ROLES = {"developer": "system", "function": "tool"}
_REASONING = ("reasoning_content", "reasoning", "thinking")
_MAX_DEPTH = 64


def to_ollama(
    messages: Sequence[Mapping[str, Any]],
    *,
    facts: Facts | None = None,
    images: Mapping[str, str] | None = None,
    param: str = "messages",
) -> list[Message]:
    """Translate the messages of a chat; `images` has the base64 of web addresses that were fetched.

    Raises BadRequest, with the path below `param`, for contents that cannot be brought to Ollama.
    """
    reader = _Reader(facts, images, param)
    return _merge_end([reader.message(message, f"{param}[{at}]") for at, message in enumerate(messages)])


def merge_roles(messages: Sequence[Message]) -> list[Message]:
    """Return Ollama messages for templates that insist on one system message and alternating roles.

    What the system says stands in front, and neighbours of one role are joined by a blank line. Results of
    tools stay apart: each belongs to a call of its own.
    """
    system = [message for message in messages if message["role"] == "system"]
    merged: list[Message] = []
    for message in [*system, *(message for message in messages if message["role"] != "system")]:
        if merged and merged[-1]["role"] == message["role"] != "tool":
            merged[-1] = _joined(merged[-1], message)
        else:
            merged.append(message)
    return merged


def _merge_end(messages: list[Message]) -> list[Message]:
    # Ollama's native path refuses two assistant messages at the end.
    while len(messages) > 1 and messages[-1]["role"] == messages[-2]["role"] == "assistant":
        last = messages.pop()
        messages[-1] = _joined(messages[-1], last)
    return messages


def _joined(one: Message, other: Message) -> Message:
    joined = {**other, **one}
    for key in ("content", "thinking"):
        texts = [message[key] for message in (one, other) if message.get(key)]
        if texts:
            joined[key] = "\n\n".join(texts)
    for key in ("images", "tool_calls"):
        if key in one and key in other:
            joined[key] = [*one[key], *other[key]]
    return joined


class _Reader:
    """Reads the messages of one request, in order."""

    def __init__(self, facts: Facts | None, images: Mapping[str, str] | None, param: str) -> None:
        self._hears = can(facts, "audio") is not False
        self._fetched = images
        self._param = param
        self._names: dict[str, str] = {}
        self._attached = 0

    def message(self, message: Mapping[str, Any], place: str) -> Message:
        role = message["role"]
        if len(message) == 2 and role in _PLAIN and type(message.get("content")) is str:
            return {"role": role, "content": message["content"]}  # most messages, the short way
        text, images = self._content(message.get("content"), f"{place}.content")
        done: Message = {"role": _ROLES.get(role, role), "content": text}
        if images:
            done["images"] = images
        if role == "assistant":
            self._assistant(message, done)
        elif role in ("tool", "function"):
            self._result(message, done)
        return done

    def _assistant(self, message: Mapping[str, Any], done: Message) -> None:
        if not done["content"] and isinstance(message.get("refusal"), str):
            done["content"] = message["refusal"]
        thinking = _thinking(message)
        if thinking:
            done["thinking"] = thinking
        calls = [self._call(call) for call in message.get("tool_calls") or ()]
        if message.get("function_call"):
            calls.append({"function": _function(message["function_call"])})
        if calls:
            done["tool_calls"] = calls

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        custom = call.get("custom")
        if custom:
            function = {"name": custom["name"], "arguments": {"input": custom.get("input", "")}}
        else:
            function = _function(call["function"])
        name = call.get("id")
        if not isinstance(name, str):
            return {"function": function}
        self._names[name] = function["name"]
        return {"id": name, "function": function}

    def _result(self, message: Mapping[str, Any], done: Message) -> None:
        # Some of Ollama's renderers need the tool's name, which OpenAI's results do not have.
        call = message.get("tool_call_id")
        name = self._names.get(call) if isinstance(call, str) else None
        name = name or message.get("tool_name") or message.get("name")
        if name:
            done["tool_name"] = name
        if call:
            done["tool_call_id"] = call

    def _content(self, content: Any, place: str) -> tuple[str, list[Base64]]:
        if content is None or isinstance(content, str):
            return content or "", []
        if not isinstance(content, list):
            raise wrong_type(place, "a string or an array of parts", content)
        text, apart = "", False
        images: list[Base64] = []
        for at, part in enumerate(content):
            piece, attached = self._part(part, f"{place}[{at}]")
            if attached is not None:
                self._attach()
                images.append(attached)
                apart = True
            if piece:
                is_file = part["type"] == "file"
                needs_break = (apart or is_file) and not (text[-1:].isspace() or piece[:1].isspace())
                text += "\n" + piece if text and needs_break else piece
                apart = is_file
        return text, images

    def _part(self, part: Mapping[str, Any], place: str) -> tuple[str, Base64 | None]:
        """Return the text of a part and what it attaches."""
        kind = part.get("type")
        if kind in ("text", "input_text"):
            return part["text"], None
        if kind == "refusal":
            return part["refusal"], None
        if kind == "image_url":
            url, where = part["image_url"], f"{place}.image_url"
            if not isinstance(url, str):
                url, where = url["url"], f"{where}.url"
            return "", image(url, where, self._fetched)
        if kind == "input_audio":
            return "", self._audio(part["input_audio"], f"{place}.input_audio")
        if kind == "file":
            return _file(part["file"], f"{place}.file")
        raise BadRequest(
            f"Invalid value: '{clip(str(kind), 40)}'. Supported values are: 'text', 'refusal', 'image_url', "
            "'input_audio', and 'file'.",
            code="invalid_value",
            param=f"{place}.type",
        )

    def _attach(self) -> None:
        self._attached += 1
        if self._attached > MAX_COUNT:
            raise too_many(self._param)

    def _audio(self, audio: Mapping[str, Any], place: str) -> Base64:
        if not self._hears:
            raise BadRequest("This model does not take audio input.", code="unsupported_content", param=place)
        given = audio["data"]
        decode = data_url if given[:5].lower() == "data:" else from_base64
        data = decode(given, f"{place}.data", code="invalid_value")
        # Ollama has recordings among the images and knows them by their first bytes.
        if not _is_wav(data.begin) and not _is_mp3(data.begin):
            raise BadRequest(
                "Unknown audio format: WAV and MP3 can be read.", code="invalid_value", param=f"{place}.data"
            )
        return data.text


def _thinking(message: Mapping[str, Any]) -> str:
    for key in _REASONING:
        if isinstance(message.get(key), str) and message[key]:
            return str(message[key])
    details = message.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    texts = (detail.get("text") for detail in details if isinstance(detail, Mapping))
    return "".join(text for text in texts if isinstance(text, str))


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": function["name"], "arguments": arguments(function.get("arguments"))}


def arguments(given: Any) -> dict[str, Any]:
    """Return the arguments of a past call as the object that Ollama insists on.

    What is no JSON stands under `_raw`, what is JSON but no object under `_value`.
    """
    if isinstance(given, str):
        if not given.strip():
            return {}
        try:
            value = msgspec.json.decode(given)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return {"_raw": given}
        if _too_deep(value):
            return {"_raw": given}
    else:
        value = {} if given is None else given
    return value if isinstance(value, dict) else {"_value": value}


def _too_deep(value: Any) -> bool:
    # Texts escape the limit that guards the body; what travels must not be deeper than that.
    level: Iterable[Any] = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _file(file: Mapping[str, Any], place: str) -> tuple[str, Base64 | None]:
    """Return the text of a text file, or the base64 of an image."""
    given = file.get("file_data")
    if not isinstance(given, str):
        raise BadRequest(
            "This server keeps no files: send the file itself as 'file_data'.",
            code="unsupported_file",
            param=f"{place}.file_id" if file.get("file_id") else place,
        )
    if given[:5].lower() == "data:":
        data = data_url(given, f"{place}.file_data", code="invalid_value")
    else:
        data = from_base64(given, f"{place}.file_data", code="invalid_value")
    text = _text(data.raw)
    if text is None and is_image(data.raw):
        check_image(data, f"{place}.file_data")
        return "", data.text
    if text is None:
        raise BadRequest(
            "Only text files and images can be read. Send the text of other files as a text part.",
            code="unsupported_file",
            param=place,
        )
    name = clip(str(file.get("filename") or "file"), 100).replace('"', "'")
    return f'<file name="{name}">\n{text}\n</file>', None


def _text(raw: bytes) -> str | None:
    if b"\0" in raw or raw.startswith(b"%PDF-"):
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _is_wav(raw: bytes) -> bool:
    return raw[:4] == b"RIFF" and raw[8:12] == b"WAVE"


def _is_mp3(raw: bytes) -> bool:
    return raw[:3] == b"ID3" or (len(raw) > 1 and raw[0] == 0xFF and raw[1] & 0xE0 == 0xE0)
