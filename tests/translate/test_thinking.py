from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.facts import Facts
from o2o.translate.thinking import Wish, reasoning_fields, wants_most, wish

THINKS = Facts(capabilities=frozenset({"completion", "thinking"}))
PLAIN = Facts(capabilities=frozenset({"completion"}))
NEW = (0, 22, 0)


def wanted(body: dict[str, Any], **others: Any) -> Wish:
    return wish(body, **{"defaults": {}, "facts": THINKS, "version": NEW, **others})


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
        ("max", "max"),
    ],
)
def test_every_effort_of_openais_has_a_level(effort: str, think: bool | str) -> None:
    for body in (
        {"reasoning_effort": effort},
        {"reasoning": {"effort": effort}},
        {"think": effort},
        {"chat_template_kwargs": {"reasoning_effort": effort}},
    ):
        assert wanted(body) == Wish(think)


@pytest.mark.parametrize(
    ("version", "think"), [((0, 21, 9), "high"), (None, "high"), ((0, 22), "max"), ((1,), "max")]
)
def test_max_is_high_where_ollama_has_no_such_level(version: tuple[int, ...] | None, think: str) -> None:
    assert wanted({"reasoning_effort": "max"}, version=version).think == think
    assert wanted({"reasoning_effort": "xhigh"}, version=version).think == think


@pytest.mark.parametrize(
    ("body", "think"),
    [
        ({"think": True}, True),
        ({"think": False}, False),
        ({"reasoning": {"enabled": False}}, False),
        ({"reasoning": {"enabled": True}}, True),
        ({"thinking": {"type": "enabled"}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": True}, True),
        ({"enable_thinking": False}, False),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": {"thinking": True}}, True),
        ({}, None),
        ({"thinking": {"type": "auto"}}, None),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {}}, None),
        ({"think": None, "reasoning_effort": None, "reasoning": None, "chat_template_kwargs": None}, None),
        ({"reasoning_effort": "", "enable_thinking": "yes"}, None),
    ],
)
def test_the_words_of_other_servers_are_understood(body: dict[str, Any], think: bool | None) -> None:
    assert wanted(body) == Wish(think)


def test_openais_effort_beats_all_other_words_and_those_an_alias() -> None:
    body: dict[str, Any] = {
        "reasoning_effort": "low",
        "reasoning": {"effort": "high", "enabled": False},
        "think": False,
        "enable_thinking": False,
    }
    assert wanted(body).think == "low"
    del body["reasoning_effort"]
    assert wanted(body, defaults={"think": False}).think == "high"
    assert wanted({"think": False}, defaults={"think": True}).think is False


@pytest.mark.parametrize(
    ("default", "think"), [(True, True), (False, False), ("high", "high"), ("none", False), (5, None)]
)
def test_an_alias_may_say_how_to_think(default: Any, think: bool | str | None) -> None:
    assert wanted({}, defaults={"think": default}).think == think


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
        ({"think": True}, "think"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "chat_template_kwargs.enable_thinking"),
    ],
)
def test_a_model_that_cannot_think_is_not_asked_to_and_that_is_told(body: dict[str, Any], param: str) -> None:
    assert wanted(body, facts=PLAIN) == Wish(None, [param])
    assert wanted(body, facts=Facts()).think is not None
    assert wanted(body, facts=None).think is not None


def test_a_model_that_cannot_think_may_be_asked_not_to() -> None:
    assert wanted({"think": False}, facts=PLAIN) == Wish(False)
    assert wanted({}, facts=PLAIN, defaults={"think": False}) == Wish(False)
    assert wanted({}, facts=PLAIN, defaults={"think": True}) == Wish(None)


def test_an_effort_of_none_is_no_wish_to_think() -> None:
    assert wanted({"reasoning_effort": "none"}, facts=PLAIN) == Wish(False)


@pytest.mark.parametrize(
    ("body", "defaults", "most"),
    [
        ({}, {}, False),
        ({}, {"think": "max"}, True),
        ({"reasoning_effort": "xhigh"}, {}, True),
        ({"reasoning_effort": "low"}, {"think": "max"}, False),
        ({"reasoning_effort": "low", "think": "max"}, {}, False),
        ({"think": "max"}, {}, True),
        ({"reasoning": {"effort": "max"}}, {}, True),
        ({"chat_template_kwargs": {"reasoning_effort": "max"}}, {}, True),
        ({"include_reasoning": False}, {"think": "max"}, True),
        ({"think": True}, {}, False),
    ],
)
def test_the_wish_for_most_is_known_since_it_depends_on_ollamas_version(
    body: dict[str, Any], defaults: dict[str, Any], most: bool
) -> None:
    assert wants_most(body, defaults) is most
    if most:
        made = wish(body, defaults=defaults, facts=None, version=(0, 33))
        assert (made.think, wish(body, defaults=defaults, facts=None).think) == ("max", "high")


def test_what_else_is_meant_for_the_template_is_listed() -> None:
    kwargs = {"enable_thinking": False, "tone": "dry", "thinking": None}
    assert wanted({"chat_template_kwargs": kwargs}) == Wish(False, ["chat_template_kwargs.tone"])
    assert wanted({"chat_template_kwargs": {"tone": "dry"}}).ignored == ["chat_template_kwargs.tone"]


def test_limits_of_thinking_alone_are_listed() -> None:
    assert wanted({"reasoning": {"max_tokens": 100}}) == Wish(True, ["reasoning.max_tokens"])
    assert wanted({"reasoning": {"max_tokens": 0}}) == Wish(False, ["reasoning.max_tokens"])
    assert wanted({"reasoning": {"max_tokens": 9, "effort": "low"}}) == Wish("low", ["reasoning.max_tokens"])
    budget = {"thinking": {"type": "enabled", "budget_tokens": 100}}
    assert wanted(budget) == Wish(True, ["thinking.budget_tokens"])
    assert wanted({"reasoning": {"max_tokens": True}}).think is None


@pytest.mark.parametrize(
    ("values", "effort", "think"),
    [
        (("low", "medium", "high"), "max", "high"),
        (("low", "medium", "high"), "minimal", "low"),
        (("low", "high"), "medium", "low"),
        (("none", "high", "xhigh"), "xhigh", "xhigh"),
        (("none", "high", "xhigh"), "low", "high"),
        (("turbo", "deep"), "deep", "deep"),
        (("turbo", "deep"), "high", True),
        ((), "high", True),
        (("none", "low"), "none", False),
        (("low",), "none", False),
        (("max",), "xhigh", "max"),
    ],
)
def test_a_model_with_levels_of_its_own_gets_one_of_those(
    values: tuple[str, ...], effort: str, think: bool | str
) -> None:
    facts = Facts(capabilities=frozenset({"thinking"}), thinking_values=values)
    assert wanted({"reasoning_effort": effort}, facts=facts, version=(0, 40)).think == think


@pytest.mark.parametrize(
    ("body", "param"),
    [({"reasoning_effort": "banana"}, "reasoning_effort"), ({"think": "yes"}, "think")],
)
def test_an_effort_that_nobody_knows_is_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        wanted(body)
    assert (caught.value.code, caught.value.param) == ("invalid_value", param)


def test_callers_may_hide_the_reasoning() -> None:
    for body in ({"reasoning": {"exclude": True}}, {"include_reasoning": False}):
        assert wanted(body).shown("both") == "hide"
    for body in ({"reasoning": {"exclude": False}}, {"include_reasoning": True}, {}):
        assert wanted(body).shown("both") == "both"


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("both", {"reasoning_content": "x", "reasoning": "x"}),
        ("reasoning_content", {"reasoning_content": "x"}),
        ("reasoning", {"reasoning": "x"}),
        ("tags", {}),
        ("hide", {}),
    ],
)
def test_reasoning_appears_under_the_names_of_its_mode(mode: str, fields: dict[str, str]) -> None:
    assert reasoning_fields("x", mode) == fields
