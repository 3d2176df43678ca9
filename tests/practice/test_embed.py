from __future__ import annotations

import math

import pytest

from o2o.practice import embed
from o2o.practice.faults import Fault
from tests.practice.conftest import Ask


def near(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(embed.vector(one), embed.vector(other), strict=True))


@pytest.mark.parametrize("text", ["", "a", "hello world", "Hörnchen 🥐", "word " * 500])
def test_vectors_have_length_one_and_stay_the_same(text: str) -> None:
    vector = embed.vector(text)
    assert len(vector) == embed.DIMENSIONS
    assert math.isclose(sum(value * value for value in vector), 1, abs_tol=1e-6)
    assert vector == embed.vector(text)


def test_similar_texts_are_nearer() -> None:
    cats = "The cat sleeps on the sofa"
    assert near(cats, "A cat is sleeping on my sofa") > near(cats, "Interest rates rose in March") + 0.2
    assert near(cats, cats.upper()) > 0.999
    assert near("walking", "walked") > near("walking", "banana")


def test_a_shortened_vector_is_normalised_anew() -> None:
    short = embed.shortened(embed.vector("hello world"), 8)
    assert len(short) == 8
    assert math.isclose(sum(value * value for value in short), 1, abs_tol=1e-6)


def test_a_vector_of_which_only_zeros_are_left_still_has_length_one() -> None:
    assert embed.shortened([0.0, 0.0, 1.0], 2) == [1.0, 0.0]


@pytest.mark.parametrize("dimensions", [None, 0, -3, 384, 1000])
def test_other_dimensions_are_ignored(dimensions: int | None) -> None:
    vector = embed.vector("hello")
    assert embed.shortened(vector, dimensions) == vector


def test_vectors_come_in_the_order_of_the_texts(ask: Ask) -> None:
    both = ask("/api/embed", model="practice-embed", input=["one", "two"])["embeddings"]
    assert both == [embed.vector("one"), embed.vector("two")]


def test_tokens_are_counted_with_two_at_the_ends(ask: Ask) -> None:
    assert ask("/api/embed", model="practice-embed", input=["hello world", ""])["prompt_eval_count"] == 6


def test_long_texts_are_cut_or_refused(ask: Ask) -> None:
    asked = {"model": "practice-embed", "input": ["short", "word " * 3000]}
    assert ask("/api/embed", **asked)["prompt_eval_count"] == 3 + 2048
    refused = ask("/api/embed", **asked, truncate=False)
    assert refused == {"error": "the input length exceeds the context length"}
    assert ask("/api/embed", **asked, options={"num_ctx": 16})["prompt_eval_count"] == 3 + 16


def test_inputs_are_texts() -> None:
    assert embed.inputs("a") == ["a"]
    assert embed.inputs(["", "b"]) == ["", "b"]
    assert embed.inputs("") == embed.inputs(None) == embed.inputs([]) == []
    with pytest.raises(Fault, match="invalid input type"):
        embed.inputs([1])
