"""Drive turns by the tables of `tests.cases`, without network, threads or Flask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from o2o.errors import O2OError
from o2o.schemas import check_chat, check_completions
from o2o.translate import completions, prompting
from o2o.translate.asking import Question, ask
from o2o.translate.chat import ChatTurn
from o2o.translate.completions import CompletionTurn
from o2o.translate.facts import Facts, facts_from_show
from o2o.translate.policy import Policy, resolve
from o2o.translate.turn import Choice
from tests.cases import Asked, Case

Cut = Callable[[list[dict[str, Any]]], Iterable[list[dict[str, Any]]]]
"""How replies come: in which batches."""

VERSION = (0, 33, 0)


def singly(replies: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return each reply as a batch of its own."""
    return [[reply] for reply in replies]


def at_once(replies: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return all replies as one batch."""
    return [replies] if replies else []


@dataclass
class Played:
    """What became of a case."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    patience: list[bool] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    turns: list[Any] = field(default_factory=list)
    error: O2OError | None = None

    @property
    def warnings(self) -> list[str]:
        return [warning for turn in self.turns for warning in turn.warnings]


def numbered() -> Callable[[], str]:
    """Return a maker of ids: call_1, call_2, …"""
    numbers = count(1)
    return lambda: f"call_{next(numbers)}"


def facts_of(case: Case) -> Facts:
    return facts_from_show(case.get("show", {}))


def question(body: dict[str, Any], policy: Policy, facts: Facts | None) -> Question:
    """Return the question of a chat body, which is checked first."""
    checked = check_chat(body)
    return ask(checked, resolve(body["model"], policy), policy=policy, facts=facts, version=VERSION)


def chat_turns(
    body: dict[str, Any],
    policy: Policy,
    facts: Facts | None = None,
    *,
    whole: bool = False,
    merged: bool = False,
) -> list[ChatTurn]:
    """Return the turns that a chat body makes."""
    asked = question(body, policy, facts)
    new_id = numbered()
    return [
        ChatTurn(asked.reseeded(k), new_id=new_id, index=k, whole=whole, merged=merged)
        for k in range(body.get("n") or 1)
    ]


def completion_turns(
    body: dict[str, Any], policy: Policy, facts: Facts | None = None, *, whole: bool = False
) -> list[CompletionTurn]:
    """Return the turns that a completions body makes."""
    checked = check_completions(body)
    asked = prompting.ask(checked, resolve(body["model"], policy), policy=policy, facts=facts)
    return completions.turns(asked, whole=whole)


def drive(turn: Any, answers: Iterable[Asked], played: Played, cut: Cut = singly) -> None:
    """Give one turn its answers in order, to its end; `played` keeps what was asked and said."""
    waiting = iter(answers)
    try:
        while turn.ask is not None:
            played.asked.append((turn.ask.path, turn.ask.payload))
            played.patience.append(turn.ask.patient)
            answer = next(waiting)
            for batch in cut(answer.replies):
                played.choices += turn.feed(batch)
            played.choices += turn.close() if answer.refusal is None else turn.refused(answer.refusal)
    except O2OError:
        played.choices += turn.rest()
        raise


def play(case: Case, *, whole: bool, cut: Cut = singly) -> Played:
    """Play a case through the turns that its request makes, one after another."""
    played = Played()
    answers = iter(case.asks(whole=whole))
    body, policy, facts = case.body(whole=whole), Policy(**case.get("settings", {})), facts_of(case)
    try:
        played.turns = list(_turns(case.endpoint, body, policy, facts, whole))
        for turn in played.turns:
            drive(turn, answers, played, cut)
    except O2OError as error:
        played.error = error
    assert next(answers, None) is None, "Ollama was asked less often than the case says"
    return played


def _turns(
    endpoint: str, body: dict[str, Any], policy: Policy, facts: Facts, whole: bool
) -> Sequence[ChatTurn | CompletionTurn]:
    if endpoint == "chat":
        return chat_turns(body, policy, facts, whole=whole)
    return completion_turns(body, policy, facts, whole=whole)
