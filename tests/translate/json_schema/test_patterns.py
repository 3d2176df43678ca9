"""Patterns are written as llama.cpp reads them, and mean the same."""

from __future__ import annotations

import re

import pytest

from o2o.translate.json_schema.patterns import Unsayable, anchored, refusal

ANYTHING = r"[^\x00-\x1F\x22\x5C\x7F]*"


@pytest.mark.parametrize(
    "pattern",
    [
        "^[0-9]{5}$",
        "^(foo|bar)$",
        "^[a-z0-9_-]{3,16}$",
        "^a+b*c?$",
        "^(a(b|c)){2,}$",
        "^$",
        "^[A-Z]{2}-[0-9]{2,4}$",
        "^[.]x[$]$",
        "^a{2,3}(|b)$",
    ],
)
def test_what_llama_cpp_reads_rightly_goes_as_it_came(pattern: str) -> None:
    assert anchored(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("[0-9]{5}", f"^{ANYTHING}[0-9]{{5}}{ANYTHING}$"),
        ("^a", f"^a{ANYTHING}$"),
        ("a$", f"^{ANYTHING}a$"),
        ("", f"^{ANYTHING}$"),
        (".*", f"^{ANYTHING}$"),
        ("^a|b$", f"^(a{ANYTHING}|{ANYTHING}b)$"),
        (r"^\d{3}-\d{4}$", "^[0-9]{3}-[0-9]{4}$"),
        (r"^ab\.+$", "^ab[.]+$"),
        ("^(?:a|b)+?$", "^(a|b)+$"),
        ("^(?P<y>[0-9])(?<m>x)$", "^([0-9])(x)$"),
        ("^a{,3}$", "^a{0,3}$"),
        ("^a{0}b$", "^b$"),
        ("^{a}$", "^[{]a[}]$"),
        ("^[ -~]+$", r"^[ !#-\x5B\x5D-~]+$"),
        ("^[^a-c]$", r"^[^\x00-\x1F\x22\x5Ca-c\x7F]$"),
        ("^[A-z]$", r"^[A-\x5B\x5D-z]$"),
        (r"^[\w.-]$", r"^[\x2D.0-9A-Z_a-z]$"),
        (r"^[\x41-\u0043\]]$", r"^[A-C\x5D]$"),
        ("^é*$", "^[é]*$"),
        ("^[ab]$", "^[ab]$"),
        (r"^[a-\d]$", r"^[\x2D0-9a]$"),
        (r"^[\d-a]$", r"^[\x2D0-9a]$"),
        (r"^\D$", r"^[^\x00-\x1F\x220-9\x5C\x7F]$"),
        (r"^a\?{1,}$", "^a[?]+$"),
        (
            "^[\ud7ff-\ue000]$".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
            "^[\ud7ff\ue000]$",
        ),
    ],
)
def test_what_llama_cpp_misreads_is_written_in_other_words(pattern: str, written: str) -> None:
    assert anchored(pattern) == written


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\bword\b", "escape"),
        (r"(a)\1", "escape"),
        (r"\p{L}", "escape"),
        ("a\\", "escape"),
        ('^"$', "writes as escapes"),
        (r"^\n$", "writes as escapes"),
        (r"^\\$", "writes as escapes"),
        ("[]", "none at all"),
        ("^(^a)$", "in its middle"),
        ("a^b", "in its middle"),
        ("(a*)*", "without end"),
        ("(a|b?){2,}", "without end"),
        ("((^)+a)", "without end"),
        ("a{5000}", "more than"),
        ("a{3,2}", "ends before"),
        ("a**", "nothing to repeat"),
        ("^a$*", "nothing to repeat"),
        ("(a", "not balanced"),
        ("a)", "not balanced"),
        ("(?i)a", "flags"),
        ("[z-a]", "upside down"),
        (r"[\q]", "escape"),
        ("(?=a)", "look around"),
    ],
)
def test_what_no_grammar_says_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(Unsayable, match=why):
        anchored(pattern)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", {"a@b.org": True, "a b@c.de": False, "a@b": False}),
        (r"\d{4}-\d{2}", {"on 2026-11": True, "2026": False}),
        (r"^(foo|ba[rz])?x{2}$", {"xx": True, "bazxx": True, "bax": False}),
        (r"^\S+\s\W$", {"ab !": True, "ab a": False}),
        ("^a|b$", {"axx": True, "xxb": True, "xax": False}),
        (r"^[^\d]{2,3}$", {"ab": True, "a1": False, "abcd": False}),
    ],
)
def test_the_written_pattern_takes_the_same_words(pattern: str, words: dict[str, bool]) -> None:
    for word, taken in words.items():
        assert bool(re.search(pattern, word)) is taken
        assert bool(re.search(anchored(pattern), word)) is taken


def test_an_escaped_parenthesis_or_one_in_a_class_opens_nothing() -> None:
    assert refusal(r"\(" * 20) is None
    assert refusal("[(]" * 20) is None
    assert refusal(r"\(?=") is None
    assert refusal("(" * 16 + "a" + ")" * 16) is None
