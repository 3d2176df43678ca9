"""Laws of validation: one answer however it is reached, no body changed, no failure but a 400."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings, strategies as st
from jsonschema import Draft7Validator

from o2o import schemas
from o2o.errors import MAX_ECHO, BadRequest
from o2o.schemas._fast import fast_accept
from o2o.schemas._load import load
from tests.schemas.accepted import ACCEPTED

CHECKS: dict[str, Callable[..., object]] = {
    "chat": schemas.check_chat,
    "completions": schemas.check_completions,
    "embeddings": schemas.check_embeddings,
}
LONGEST_SENTENCE = 400
"""What the longest message says beside what it repeats."""

NAMES = sorted(
    {
        *(name for endpoint in schemas.ENDPOINTS for name in schemas.known_parameters(endpoint)),
        *("role", "content", "type", "text", "image_url", "url", "tool_calls", "tool_call_id", "function"),
        *("custom", "name", "arguments", "parameters", "allowed_tools", "mode", "schema", "effort"),
    }
)
WORDS = [
    "user",
    "tool",
    "function",
    "custom",
    "text",
    "image_url",
    "json_schema",
    "json",
    "auto",
    "low",
    "",
    "a b",
]
NUMBERS = [
    -3,
    -2,
    -1,
    -1.0,
    0,
    0.0,
    0.5,
    1,
    1.0,
    2,
    2.5,
    5.0,
    129,
    2**31,
    2**63 - 1,
    2**63,
    -(2**70),
    10**400,
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), inner, max_size=5),
    ),
    max_leaves=12,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) inside `value`."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += [(value, key), *places(inner)]
    return found


def near(value: object) -> st.SearchStrategy[Any]:
    """Draw another value of the kind of `value`, so that more than its type is looked at."""
    if isinstance(value, str):
        return st.sampled_from(WORDS) | st.text(max_size=80).map(lambda text: value + text)
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, (int, float)):
        return st.sampled_from(NUMBERS) | st.just(float(value) if abs(value) < 2**53 else value)
    return st.just([]) if isinstance(value, list) else st.just({}) if isinstance(value, dict) else scalars


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw a good request with a few things in it replaced, removed, added or doubled."""
    endpoint, good = draw(st.sampled_from(ACCEPTED))
    body = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        spots = places(body)
        if not spots:
            break
        # The first ones, since a table row may hold thousands.
        container, key = draw(st.sampled_from(spots[:60]))
        match draw(st.sampled_from(["nudge", "nudge", "nudge", "replace", "remove", "add", "double"])):
            case "nudge":
                container[key] = draw(near(container[key]))
            case "replace":
                container[key] = draw(values)
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw(st.sampled_from(NAMES))] = draw(values)
            case _ if isinstance(container, list):
                container.extend(container[:3])
            case _:
                body[draw(st.sampled_from(NAMES))] = draw(values)
    return endpoint, body


def answer(endpoint: str, body: object, *, plain: bool = False) -> dict[str, Any] | None:
    """Return the error's body, None for an accepted request; any other exception is a failure."""
    try:
        checked = CHECKS[endpoint](body, plain=plain)
    except BadRequest as error:
        refusal = error
    else:
        assert checked is body
        return None
    assert refusal.http_status == 400
    assert len(refusal.message) <= MAX_ECHO + LONGEST_SENTENCE
    return refusal.body()


@settings(max_examples=400, deadline=None)
@given(mutants())
def test_the_fast_accept_accepts_exactly_what_jsonschema_accepts(mutant: tuple[str, Any]) -> None:
    endpoint, body = mutant
    before = copy.deepcopy(body)
    fast = fast_accept(endpoint)(body)
    assert body == before
    # The library as it comes, with keywords of its own.
    assert fast == Draft7Validator(load(endpoint)).is_valid(body)
    assert body == before


@settings(max_examples=300, deadline=None)
@given(mutants())
def test_the_answer_is_the_same_with_and_without_the_fast_accept(mutant: tuple[str, Any]) -> None:
    endpoint, body = mutant
    before = copy.deepcopy(body)
    assert answer(endpoint, body) == answer(endpoint, body, plain=True)
    assert body == before


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(schemas.ENDPOINTS), values)
def test_any_json_value_is_accepted_or_refused_with_400(endpoint: str, value: Any) -> None:
    answer(endpoint, value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(schemas.ENDPOINTS), st.dictionaries(st.sampled_from(NAMES), values))
def test_any_value_of_any_parameter_is_accepted_or_refused_with_400(
    endpoint: str, parameters: dict[str, Any]
) -> None:
    good = {"model": "m", "messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x"}
    answer(endpoint, good | parameters)


@settings(max_examples=100, deadline=None)
@given(mutants(), st.sampled_from([10**5000, -(10**5000), 1e308, "\ud800", "\x00" * 500, "y" * 5000]))
def test_extreme_values_are_accepted_or_refused_with_400(mutant: tuple[str, Any], extreme: object) -> None:
    endpoint, body = mutant
    for container, key in places(body)[:60]:
        kept = container[key]
        container[key] = extreme
        problem = answer(endpoint, body)
        assert problem is None or str(problem).isprintable()
        container[key] = kept


@settings(max_examples=200, deadline=None)
@given(mutants())
def test_a_param_leads_to_what_the_message_is_about(mutant: tuple[str, Any]) -> None:
    endpoint, body = mutant
    problem = answer(endpoint, body)
    if problem is not None:
        error = problem["error"]
        assert error["code"]
        assert error["param"].split(".")[0].split("[")[0] in schemas.known_parameters(endpoint)
