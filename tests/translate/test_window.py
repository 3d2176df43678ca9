"""Windows: growing, and outgrowing."""

from __future__ import annotations

import pytest

from o2o.errors import Refused
from o2o.translate.facts import Facts
from o2o.translate.policy import Policy
from o2o.translate.window import Kept, larger_window, shifted


def refusal(prompt: int, window: int) -> Refused:
    said = (
        f"request ({prompt} tokens) exceeds the available context size ({window} tokens), try increasing it"
    )
    return Refused(400, said)


def grown(
    prompt: int, window: int, *, sent: int | None = None, length: int | None = None, **policy: int | None
) -> int | None:
    facts = None if length is None else Facts(context_length=length)
    return larger_window(refusal(prompt, window), Policy(**policy), facts, sent=sent)  # type: ignore[arg-type]  # of ints only


@pytest.mark.parametrize(
    ("prompt", "window", "larger"),
    [
        (4097, 4096, 8192),
        (7168, 4096, 8192),
        (7169, 4096, 16384),
        (20000, 4096, 32768),
        (32767, 4096, 32768),
        (32768, 4096, None),
        (40000, 32768, None),
        (5000, 2048, None),
        (5000, 8192, None),
    ],
)
def test_without_a_ceiling_only_ollamas_own_windows_grow(
    prompt: int, window: int, larger: int | None
) -> None:
    assert grown(prompt, window) == larger


@pytest.mark.parametrize(
    ("prompt", "window", "ceiling", "larger"),
    [
        (5000, 4096, 0, None),
        (5000, 4096, 6000, 6000),
        (5000, 2048, 65536, 8192),
        (40000, 32768, 65536, 65536),
        (70000, 32768, 65536, None),
        (2_000_000, 32768, 3_000_000, 3_000_000),
        (5000, 4096, 4096, None),
    ],
)
def test_the_operators_ceiling_counts_for_any_window(
    prompt: int, window: int, ceiling: int, larger: int | None
) -> None:
    assert grown(prompt, window, max_num_ctx=ceiling) == larger


def test_no_window_is_larger_than_what_the_model_was_made_for() -> None:
    assert grown(5000, 4096, length=6000) == 6000
    assert grown(5000, 4096, length=4096) is None
    assert grown(5000, 4096, length=131072) == 8192


def test_a_window_that_was_asked_for_grows_only_where_the_operator_asked_for_it_and_for_more() -> None:
    assert grown(5000, 4096, sent=4096) is None
    assert grown(5000, 4096, sent=4096, num_ctx=4096) is None
    assert grown(5000, 4096, sent=4096, max_num_ctx=16384) is None
    assert grown(5000, 4096, sent=4096, num_ctx=4096, max_num_ctx=16384) == 8192


@pytest.mark.parametrize("text", ["no model", "exceeds the available context size", "(5 tokens)"])
def test_nothing_grows_without_both_numbers(text: str) -> None:
    assert larger_window(Refused(400, text), Policy(), None, sent=None) is None


def test_an_answer_that_outgrew_its_window_is_noticed() -> None:
    final = {"prompt_eval_count": 500, "eval_count": 12}
    assert not shifted(final, None)
    assert not shifted(final, 512)
    assert shifted({**final, "eval_count": 13}, 512)
    assert not shifted({}, 1)


@pytest.mark.parametrize(
    ("kept", "ceiling", "larger"),
    [
        (Kept(8192, grown=True), None, 16384),
        (Kept(8192, grown=False), None, None),
        (None, None, None),
        (Kept(8192, grown=True), 0, None),
        (Kept(8192, grown=False), 16384, 16384),
        (Kept(4096, grown=True), None, None),
    ],
)
def test_a_window_that_is_only_kept_grows_on_where_it_grew_before_or_the_operator_says_how_far(
    kept: Kept | None, ceiling: int | None, larger: int | None
) -> None:
    refused = refusal(10000, 8192)
    assert larger_window(refused, Policy(max_num_ctx=ceiling), None, sent=8192, kept=kept) == larger


def test_a_window_that_ollama_chose_and_that_is_kept_may_grow() -> None:
    assert larger_window(refusal(5000, 4096), Policy(), None, sent=4096, kept=Kept(4096, grown=False)) == 8192
