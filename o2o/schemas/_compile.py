"""jsonschema's judgement of a body, with the fast accept in front of it.

The fast accept answers yes or no in microseconds. Only after a no is jsonschema asked, which knows where and
why. Both read the very same schema, and the laws in `tests/property/test_schema_laws.py` hold them to the
same answer.

jsonschema renders the refused instance into a message that nobody here reads (80 ms for a body of 10 MB, and
an exception for an integer of 5,000 digits), so those of its keywords are replaced by silent ones;
`_explain` writes the messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from o2o.schemas._explain import Problem
from o2o.schemas._fast import fast_accept
from o2o.schemas._load import load

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Keyword = Callable[[Any, Any, Any, Any], Iterator["ValidationError"]]


def first_problem(name: str, body: Any, *, plain: bool = False) -> Problem | None:
    """Return what schema `name` has first against `body`, in the schema's order, None when it is valid.

    With `plain` only jsonschema judges: slower, the same answer. `body` stays as it is.
    """
    if not plain and fast_accept(name)(body):
        return None
    error: Any = next(validator(name).iter_errors(body), None)
    if error is None:
        return None
    return Problem(
        list(error.absolute_path), error.validator, error.validator_value, error.instance, error.schema
    )


@cache
def validator(name: str) -> Validator:
    """Return jsonschema's validator of schema `name`, silenced; compiled once a process."""
    # Imported here: 85 ms that a process which refuses nothing need not spend.
    from jsonschema import Draft7Validator, validators

    extend: Any = validators.extend
    cls = extend(Draft7Validator, _silent_keywords())
    # Not checked against the schema of schemas, which takes longer than all the rest: a test does that.
    compiled: Validator = cls(load(name))
    return compiled


def _silent_keywords() -> dict[str, Keyword]:
    from jsonschema.exceptions import ValidationError

    def silent(kind: str, fails: Callable[[Any, Any], bool]) -> Keyword:
        def keyword(judge: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            if judge.is_type(instance, kind) and fails(instance, limit):
                yield ValidationError("")

        return keyword

    def type_(judge: Any, types: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not any(judge.is_type(instance, name) for name in ([types] if isinstance(types, str) else types)):
            yield ValidationError("")

    def enum(judge: Any, values: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if instance not in values:
            yield ValidationError("")

    return {
        "type": type_,
        "enum": enum,
        "minimum": silent("number", lambda instance, limit: bool(instance < limit)),
        "maximum": silent("number", lambda instance, limit: bool(instance > limit)),
        "minLength": silent("string", lambda instance, limit: len(instance) < limit),
        "maxLength": silent("string", lambda instance, limit: len(instance) > limit),
        "pattern": silent("string", lambda instance, pattern: re.search(pattern, instance) is None),
        "minItems": silent("array", lambda instance, limit: len(instance) < limit),
        "maxItems": silent("array", lambda instance, limit: len(instance) > limit),
        "maxProperties": silent("object", lambda instance, limit: len(instance) > limit),
    }
