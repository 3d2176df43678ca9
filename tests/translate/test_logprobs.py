from __future__ import annotations

import math
from typing import Any

import pytest

from o2o.translate.logprobs import Collector, to_chat, to_legacy


def entry(token: str, logprob: Any = -0.5, **others: Any) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), **others}


# Recorded from Ollama 0.33 with top_logprobs 2.
HI = entry("Hi", -0.2020, top_logprobs=[entry("Hi", -0.2020), entry("Hello", -2.9282)])
GOOSE = entry("🪿", -0.0008)


def joined(entries: list[dict[str, Any]]) -> str:
    return "".join(one["token"] for one in entries)


def test_an_entry_has_every_key_of_openais() -> None:
    assert to_chat(HI) == {
        "token": "Hi",
        "logprob": -0.2020,
        "bytes": [72, 105],
        "top_logprobs": [
            {"token": "Hi", "logprob": -0.2020, "bytes": [72, 105]},
            {"token": "Hello", "logprob": -2.9282, "bytes": [72, 101, 108, 108, 111]},
        ],
    }
    assert to_chat(GOOSE)["bytes"] == [240, 159, 170, 191]
    assert to_chat({"token": ""}) == {"token": "", "logprob": -9999.0, "bytes": [], "top_logprobs": []}


@pytest.mark.parametrize("number", [-math.inf, math.inf, math.nan, None, "x", True])
def test_a_number_that_json_cannot_hold_is_out_of_reach(number: Any) -> None:
    assert to_chat(entry("a", number))["logprob"] == -9999.0


def test_a_whole_number_is_a_number() -> None:
    assert to_chat(entry("a", 0))["logprob"] == 0


def test_bytes_are_made_from_the_text_where_there_are_none() -> None:
    assert to_chat({"token": "é", "logprob": -1})["bytes"] == [195, 169]


def take(collector: Collector, *texts: str) -> list[list[str]]:
    return [[one["token"] for one in collector.take(text)] for text in texts]


def collected(*tokens: str) -> Collector:
    collector = Collector()
    for token in tokens:
        collector.add([entry(token)], about_content=True)
    return collector


def test_entries_come_with_the_content_they_belong_to() -> None:
    collector = collected("Hi", " there", ".")
    assert take(collector, "Hi", " there.", "more") == [["Hi"], [" there", "."], []]


def test_entries_about_other_things_are_let_go() -> None:
    collector = Collector()
    collector.add([entry("thought")], about_content=False)
    collector.add(None, about_content=True)
    collector.add([entry("</think>"), entry("\n\n"), entry("Answer")], about_content=True)
    assert take(collector, "Answer") == [["Answer"]]


def test_content_that_is_held_back_finds_its_entries_later() -> None:
    collector = collected("{", '"a"', ":", "1", "}")
    assert take(collector, '{"a":1}') == [["{", '"a"', ":", "1", "}"]]


def test_an_entry_may_reach_into_the_next_piece() -> None:
    collector = collected("Hello there", "!")
    assert take(collector, "Hello", " the", "re!") == [["Hello there"], [], ["!"]]


def test_an_entry_whose_rest_is_never_said_does_no_harm() -> None:
    collector = collected("Hello there", "Bye")
    assert take(collector, "Hello", "Bye") == [["Hello there"], ["Bye"]]


def test_white_space_that_ollama_strips_is_stripped_from_the_entry_too() -> None:
    collector = collected("\n\n Hi", "!")
    (first, last) = collector.take("Hi!")
    assert (first["token"], first["bytes"], last["token"]) == ("Hi", [72, 105], "!")


def test_content_without_entries_takes_nobody_elses() -> None:
    collector = collected("b")
    assert take(collector, "prefill", "b") == [[], ["b"]]


def test_the_text_of_all_entries_is_the_content() -> None:
    text = "One two 🪿 three."
    collector = collected("One", " two", " ", "🪿", " three", ".")
    assert joined([one for piece in ("On", "e two 🪿", " three.") for one in collector.take(piece)]) == text


def test_legacy_lists_are_aligned() -> None:
    entries = [HI, entry(" there", -0.01), entry(".", None)]
    assert to_legacy(entries, offset=10, top=1) == {
        "tokens": ["Hi", " there", "."],
        "token_logprobs": [-0.2020, -0.01, -9999.0],
        "top_logprobs": [{"Hi": -0.2020}, {" there": -0.01}, {".": -9999.0}],
        "text_offset": [10, 12, 18],
    }


def test_the_token_itself_is_always_among_the_likely_ones() -> None:
    unlikely = entry("Ho", -5.0, top_logprobs=[entry("Hi", -0.1), entry("Hello", -2.0)])
    assert to_legacy([unlikely], offset=0, top=2)["top_logprobs"] == [{"Hi": -0.1, "Hello": -2.0, "Ho": -5.0}]


@pytest.mark.parametrize("top", [0, None])
def test_no_likely_ones_are_told_unless_asked_for(top: int | None) -> None:
    assert to_legacy([HI], offset=0, top=top)["top_logprobs"] is None
