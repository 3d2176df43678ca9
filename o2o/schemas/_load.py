"""The schemas as data: read from this package's `*.json` files, with every reference resolved."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load(name: str) -> dict[str, Any]:
    """Return the schema `name`, every `$ref` replaced by its target; it is shared, do not change it."""
    schema: dict[str, Any] = _inline(_read(name), name)
    schema.pop("definitions", None)
    return schema


def names(name: str) -> frozenset[str]:
    """Return the top-level properties of the schema `name`; it need not be resolved for that, which takes a while."""
    return frozenset(_read(name)["properties"])


@cache
def _read(name: str) -> Any:
    return json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))


def _inline(node: Any, home: str) -> Any:
    """Replace `#/definitions/x` and `common.json#/definitions/x` by copies; none is recursive."""
    if isinstance(node, list):
        return [_inline(item, home) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" not in node:
        return {key: _inline(value, home) for key, value in node.items()}
    file, _, pointer = node["$ref"].partition("#/")
    home = file.removesuffix(".json") or home
    target = _read(home)
    for step in pointer.split("/"):
        target = target[step]
    return _inline(target, home)
