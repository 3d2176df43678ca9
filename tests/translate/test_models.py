from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from o2o.translate.facts import Facts
from o2o.translate.models import created, find, to_openai
from o2o.translate.policy import Policy, parse_aliases

# As Ollama 0.33 lists them.
GEMMA: dict[str, Any] = {
    "name": "gemma3:270m",
    "model": "gemma3:270m",
    "modified_at": "2026-11-23T12:45:33.72862575Z",
    "size": 253113615,
    "digest": "ab073070d86e44d8",
    "details": {
        "parent_model": "",
        "format": "gguf",
        "family": "gemma3",
        "families": ["gemma3"],
        "parameter_size": "268.10M",
        "quantization_level": "Q4_K_M",
        "context_length": 32768,
        "embedding_length": 640,
    },
    "capabilities": ["completion"],
}
COPY = {**GEMMA, "name": "team/gemma:test", "model": "team/gemma:test"}
MINILM: dict[str, Any] = {
    "name": "all-minilm:latest",
    "modified_at": "2026-11-23T12:29:37.216377696Z",
    "size": 45949364,
    "digest": "3916e706937ab689",
    "details": {"format": "gguf", "family": "bert", "families": None, "quantization_level": "F16"},
    "capabilities": ["completion"],
}
TAGS = {"models": [COPY, GEMMA, MINILM]}
FACTS = {"3916e706937ab689": Facts(capabilities=frozenset({"embedding"}), context_length=512)}


def listed(tags: dict[str, Any] = TAGS, ps: Any = None, aliases: str = "") -> list[dict[str, Any]]:
    policy = Policy(aliases=parse_aliases(aliases))
    return to_openai(tags, facts=FACTS, ps=ps or {}, policy=policy)


def test_a_model_is_told_with_openais_keys_and_some_more() -> None:
    gemma = listed()[1]
    assert gemma == {
        "id": "gemma3:270m",
        "object": "model",
        "created": 1795437933,
        "owned_by": "library",
        "context_length": 32768,
        "capabilities": None,
        "family": "gemma3",
        "size": 253113615,
        "quantization": "Q4_K_M",
        "loaded": False,
    }


def test_facts_are_better_than_the_list() -> None:
    minilm = listed()[2]
    assert minilm["capabilities"] == ["embedding"]
    assert minilm["context_length"] == 512


def test_the_owner_is_the_namespace_and_the_order_is_ollamas() -> None:
    assert [(entry["id"], entry["owned_by"]) for entry in listed()] == [
        ("team/gemma:test", "team"),
        ("gemma3:270m", "library"),
        ("all-minilm:latest", "library"),
    ]


def test_a_loaded_model_is_known_by_name_or_digest() -> None:
    ps = {"models": [{"name": "gemma3:270m", "digest": "ab073070d86e44d8"}, {"name": None, "digest": None}]}
    assert [entry["loaded"] for entry in listed(ps=ps)] == [True, True, False]
    by_name = {"models": [{"name": "All-MiniLM"}]}
    assert [entry["loaded"] for entry in listed(ps=by_name)] == [False, False, True]


@pytest.mark.parametrize("tags", [{}, {"models": None}, {"models": []}, {"models": [5, {}, {"name": 5}]}])
def test_no_models_are_an_empty_list(tags: dict[str, Any]) -> None:
    assert listed(tags, aliases="a=gemma3:270m") == []


def test_a_model_of_which_little_is_known_still_has_all_keys() -> None:
    (entry,) = listed({"models": [{"model": "x", "details": 5, "size": True}]})
    assert entry == {
        "id": "x",
        "object": "model",
        "created": 0,
        "owned_by": "library",
        **dict.fromkeys(("context_length", "capabilities", "family", "size", "quantization")),
        "loaded": False,
    }


def test_aliases_are_listed_where_their_target_exists() -> None:
    entries = listed(aliases="embed=all-minilm,gone=nosuch,GEMMA3:270M=all-minilm")
    assert [entry["id"] for entry in entries[3:]] == ["embed"]
    assert entries[3] == {**entries[2], "id": "embed"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("all-minilm", "all-minilm:latest"),
        ("ALL-MiniLM:latest", "all-minilm:latest"),
        ("gemma3:270m", "gemma3:270m"),
        ("team/gemma:test", "team/gemma:test"),
        ("ollama/all-minilm", "all-minilm:latest"),
        ("openai/embed", "embed"),
        ("embed:latest", "embed"),
        ("gemma3", None),
        ("team/all-minilm", None),
        ("", None),
    ],
)
def test_a_model_is_found_however_it_is_spelled(name: str, found: str | None) -> None:
    entry = find(listed(aliases="embed=all-minilm"), name)
    assert (entry and entry["id"]) == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T13:32:23.575332062Z", 1795440743),
        ("2026-11-23T14:32:23.5+01:00", 1795440743),
        ("2026-11-23T08:02:23-05:30", 1795440743),
        ("2024-02-29T00:00:00Z", 1709164800),
        ("2000-03-01T00:00:00Z", 951868800),
        ("0001-01-01T00:00:00Z", 0),
        ("2026-11-23", 0),
        ("", 0),
        (None, 0),
        (5, 0),
    ],
)
def test_times_are_read_to_the_second(text: Any, seconds: int) -> None:
    assert created(text) == seconds


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)))
def test_the_calendar_is_the_one_of_everybody_else(moment: datetime) -> None:
    expected = (moment.replace(microsecond=0) - datetime(1970, 1, 1)).total_seconds()
    assert created(moment.isoformat() + "Z") == expected
