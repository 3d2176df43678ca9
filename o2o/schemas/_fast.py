"""The fast accept: a schema as Python code, made by fastjsonschema, that answers only yes or no.

The generated code is rewritten before it is compiled, since it prepares for questions that nobody asks:

- every refusal formats a message from all local variables, also inside an `if` that merely does not hold,
  which costs 5 µs and more: it raises a bare exception instead;
- every object's keys are copied into a set, to know in the end which of them the schema does not name:
  no schema here asks that of an object with `properties`, so the object itself is looked at.

Where a rule does not fit the text of some other fastjsonschema, the code is slower, and still right: a
false no costs a second look by jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from o2o.schemas._load import load


@cache
def fast_accept(name: str) -> Callable[[object], bool]:
    """Return the yes or no of schema `name`; compiled once a process, in memory only."""
    # Imported here, like jsonschema: an import of o2o.schemas alone stays cheap.
    from fastjsonschema import JsonSchemaValueException

    class Refused(JsonSchemaValueException):
        def __init__(self) -> None:
            pass

    namespace: dict[str, Any] = {"Refused": Refused}
    exec(compile(source(name), f"<schema {name}>", "exec"), namespace)  # noqa: S102 - made from our own schema
    judge = namespace["validate"]

    def accept(body: object) -> bool:
        try:
            judge(body)
        except JsonSchemaValueException:
            return False
        return True

    return accept


def source(name: str) -> str:
    """Return the Python code that judges schema `name`, rewritten as this module's docstring says."""
    import fastjsonschema

    # use_default would write defaults into bodies.
    code: str = fastjsonschema.compile_to_code(load(name), use_default=False, use_formats=False)
    code = re.sub(r"raise JsonSchemaValueException\(.*", "raise Refused", code)
    code = re.sub(r'^ *\w+_keys\.remove\("\w+"\)\n', "", code, flags=re.MULTILINE)
    code = re.sub(r"(\w+_keys) = set\((\w+)\.keys\(\)\)", r"\1 = \2", code)
    return re.sub(r"= set\(\[(.*)\]\) - (\w+)\.keys\(\)", _missing, code)


def _missing(match: re.Match[str]) -> str:
    """Turn `= set(['a', 'b']) - x.keys()` into `= 'a' not in x or 'b' not in x`."""
    names, instance = match.groups()
    return "= " + " or ".join(f"{name} not in {instance}" for name in names.split(", "))
