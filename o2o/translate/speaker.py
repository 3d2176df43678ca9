"""How an answer is said in chat choices: role once, reasoning under its names, calls numbered; pure.

The speaker knows nothing of Ollama. It is told text, reasoning and calls in the order in which they are to be
said, and keeps the choices until `take` is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2o.translate.thinking import reasoning_fields
from o2o.translate.tools import Call, to_openai_call
from o2o.translate.turn import Choice


class Speaker:
    """Say one choice of a chat completion, bit by bit."""

    __slots__ = (
        "_in_tags",
        "_index",
        "_legacy",
        "_mode",
        "_new_id",
        "_out",
        "_started",
        "calls",
        "said",
        "thought",
    )

    def __init__(self, index: int, *, mode: str, new_id: Callable[[], str], legacy: bool = False) -> None:
        self._index = index
        self._mode = mode
        self._new_id = new_id
        self._legacy = legacy
        self._out: list[Choice] = []
        self._started = False
        self._in_tags = False
        self.said = False
        """Whether any content was said."""
        self.thought = False
        """Whether any reasoning came, shown or not."""
        self.calls = 0

    def take(self) -> list[Choice]:
        """Return what was said since the last time."""
        out, self._out = self._out, []
        return out

    def start(self) -> None:
        """Say the role, unless it was said."""
        if not self._started:
            self._delta({"role": "assistant", "content": "", "refusal": None})
            self._started = True

    def content(self, text: str, logprobs: list[dict[str, Any]] | None = None) -> None:
        """Say a piece of the answer, with the entries that belong to just this piece."""
        self.start()
        self.said = True
        if self._in_tags:
            self._in_tags = False
            self._delta({"content": "</think>\n\n"})
        self._delta({"content": text}, logprobs)

    @property
    def open(self) -> bool:
        """Whether the next piece of content is a delta of its own and nothing else."""
        return self._started and not self._in_tags

    def pieces(self, texts: list[str]) -> None:
        """Say pieces of the answer one after another; the same as `content` for each, while `open`."""
        self.said = self.said or bool(texts)
        index = self._index
        self._out += [
            {"index": index, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
            for text in texts
        ]

    def reasoning(self, text: str) -> None:
        """Say a piece of the reasoning, as the caller or the operator wants it shown."""
        self.start()
        self.thought = True
        if self._mode == "hide":
            return
        if self._mode == "tags":
            self._delta({"content": text if self._in_tags else "<think>" + text})
            self._in_tags = True
            return
        self._delta(reasoning_fields(text, self._mode))

    def call(self, call: Call) -> None:
        """Say one whole call: its name first, then its arguments, as two fragments."""
        if self._in_tags:
            self._in_tags = False
            self._delta({"content": "</think>\n\n"})
        opening: dict[str, Any] = {}
        if not self._started:
            self._started = True
            opening = {"role": "assistant", "content": None, "refusal": None}
        whole = to_openai_call(call, self._new_id(), self.calls)
        if self._legacy:
            self._say_legacy(opening, whole["function"])
        else:
            self._say_call(opening, whole)
        self.calls += 1

    def finish(self, reason: str) -> None:
        """Say the finish reason; nothing may follow."""
        self.start()
        if self._in_tags:
            self._delta({"content": "</think>\n\n"})
        self._out.append({"index": self._index, "delta": {}, "logprobs": None, "finish_reason": reason})

    def _say_call(self, opening: dict[str, Any], whole: dict[str, Any]) -> None:
        kind = whole["type"]
        field = "input" if kind == "custom" else "arguments"
        text = whole[kind][field]
        self._delta({**opening, "tool_calls": [{**whole, kind: {**whole[kind], field: ""}}]})
        self._delta({"tool_calls": [{"index": self.calls, kind: {field: text}}]})

    def _say_legacy(self, opening: dict[str, Any], function: dict[str, Any]) -> None:
        self._delta({**opening, "function_call": {"name": function["name"], "arguments": ""}})
        self._delta({"function_call": {"arguments": function["arguments"]}})

    def _delta(self, delta: dict[str, Any], logprobs: list[dict[str, Any]] | None = None) -> None:
        self._out.append(
            {
                "index": self._index,
                "delta": delta,
                "logprobs": None if logprobs is None else {"content": logprobs, "refusal": None},
                "finish_reason": None,
            }
        )


def fold(choices: list[Choice]) -> list[Choice]:
    """Return the choices of a whole completion: what an accumulating client makes of the same deltas."""
    folded: dict[int, Choice] = {}
    for choice in choices:
        index = choice["index"]
        whole = folded.get(index)
        if whole is None:
            message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
            whole = folded[index] = {
                "index": index,
                "message": message,
                "logprobs": None,
                "finish_reason": None,
            }
        _add(whole, choice)
    for whole in folded.values():
        message = whole["message"]
        if not message["content"] and (message.get("tool_calls") or message.get("function_call")):
            message["content"] = None  # OpenAI: null when there is nothing but calls
    return [folded[index] for index in sorted(folded)]


_SUMMED = ("content", "reasoning_content", "reasoning")


def _add(whole: Choice, choice: Choice) -> None:
    delta, message = choice["delta"], whole["message"]
    for key in _SUMMED:
        text = delta.get(key)
        if text is not None:
            message[key] = (message.get(key) or "") + text
    for fragment in delta.get("tool_calls", ()):
        _add_call(message.setdefault("tool_calls", []), fragment)
    function = delta.get("function_call")
    if function is not None:
        known = message.setdefault("function_call", {"arguments": ""})
        known["arguments"] += function["arguments"]
        if "name" in function:
            known["name"] = function["name"]
    if choice["logprobs"] is not None:
        if whole["logprobs"] is None:
            whole["logprobs"] = {"content": [], "refusal": None}
        whole["logprobs"]["content"] += choice["logprobs"]["content"]
    if choice["finish_reason"] is not None:
        whole["finish_reason"] = choice["finish_reason"]


def _add_call(calls: list[dict[str, Any]], fragment: dict[str, Any]) -> None:
    if fragment["index"] == len(calls):
        kind = fragment["type"]
        calls.append({"id": fragment["id"], "type": kind, kind: dict(fragment[kind])})
        return
    call = calls[fragment["index"]]
    kind = call["type"]
    for key, text in fragment[kind].items():
        call[kind][key] += text
