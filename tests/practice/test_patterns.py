from __future__ import annotations

import random
import re

import pytest

from o2o.practice.patterns import make

PLAIN = [
    r"^[0-9]{5}$",
    r"^(foo|ba[rz])+$",
    r"^\d{3}-\d{4}$",
    r"^[A-Z][a-z]*( [A-Z]\w+)?$",
    r"^[^@\s]+@[a-z]+\.(?:com|org)$",
    r"^\S+\s\D\W$",
    r"^#[0-9a-fA-F]{6}$",
    r"^.{2,4}$",
    r"^[\w.-]{3,}$",
    r"^a*b+?c{2,}$",
    r"^(?P<year>\d{4})$",
    r"^\x41\u0042\n\.$",
    r"^[^a-z0-9]$",
    r"^[]a]$",
    r"^$",
    r"free",
]


@pytest.mark.parametrize("pattern", PLAIN)
def test_what_is_made_matches(pattern: str) -> None:
    for seed in range(50):
        made = make(pattern, random.Random(seed))
        assert made is not None
        assert re.search(pattern, made)


@pytest.mark.parametrize(
    "pattern",
    [r"^(?=x)y$", "(", ")", "[a-", "a{", r"^(a)\1$", r"\p{L}", "(((a{9999}){99})", "(a{9999}){99}", "+"],
)
def test_what_is_not_understood_gives_nothing(pattern: str) -> None:
    assert make(pattern, random.Random(1)) is None
