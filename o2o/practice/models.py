"""The practice models, and what Ollama's lists say about them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from o2o.practice.faults import Fault

VERSION = "0.33.0"
_MODIFIED = "2026-11-01T12:00:00.000000000Z"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(rf"(?:{_PART}(?::\d+)?/)?(?:{_PART}/)?{_PART}(?::{_PART})?")

_TEMPLATE = (
    "{{- if .Tools }}<|tools|>\n{{ json .Tools }}\n{{ end }}"
    "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}{{ range .ToolCalls }}{{ . }}{{ end }}\n{{ end }}"
    "<|assistant|>\n"
)
_INSERT = "{{- if .Suffix }}<|prefix|>{{ .Prompt }}<|suffix|>{{ .Suffix }}<|middle|>{{ else }}"
_THINKING = "{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}"


@dataclass(frozen=True)
class Model:
    """One practice model; lengths in tokens and numbers, sizes in bytes."""

    name: str
    capabilities: tuple[str, ...]
    template: str
    family: str = "practice"
    context_length: int = 32768
    embedding_length: int = 384
    size: int = 1_000_000

    @property
    def digest(self) -> str:
        """Return the model's digest: 64 hexadecimal digits."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def full_name(self) -> str:
        """Return the name as Ollama writes it when it speaks of capabilities."""
        return f"registry.ollama.ai/library/{self.name}"

    def can(self, capability: str) -> bool:
        """Return whether the model has a capability, in Ollama's words."""
        return capability in self.capabilities


MODELS = (
    Model("practice:latest", ("completion", "tools", "insert"), _INSERT + _TEMPLATE + "{{ end }}"),
    Model(
        "practice-think:latest",
        ("completion", "tools", "insert", "thinking"),
        _INSERT + _TEMPLATE + _THINKING + "{{ end }}",
    ),
    # Without tools and insert: some model must lack what the others have.
    Model("practice-vision:latest", ("completion", "vision"), "{{ range .Messages }}{{ .Content }}{{ end }}"),
    Model("practice-embed:latest", ("embedding",), "{{ .Prompt }}", context_length=2048),
)


def find(name: str) -> Model | None:
    """Return the model of that name, or None; raise what Ollama says of a name that it does not take."""
    lowered = name.lower()
    if lowered.endswith((":cloud:local", ":local:cloud")):
        raise Fault(400, f'use either :local or :cloud, not both: "{name}"')
    if lowered.endswith((":cloud", "-cloud")):
        raise Fault(403, "ollama cloud is disabled: remote model is unavailable")
    if not _NAME.fullmatch(lowered.removesuffix(":local")):
        raise Fault(400, "invalid model name")
    short = lowered.removesuffix(":local").removeprefix("registry.ollama.ai/").removeprefix("library/")
    if ":" not in short:
        short += ":latest"
    return next((model for model in MODELS if model.name == short), None)


def tags() -> dict[str, Any]:
    """Return the answer of `/api/tags`."""
    return {"models": [_tag(model) for model in MODELS]}


def _tag(model: Model) -> dict[str, Any]:
    lengths = {"context_length": model.context_length, "embedding_length": model.embedding_length}
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _MODIFIED,
        "size": model.size,
        "digest": model.digest,
        "details": {**_details(model), **lengths},
        "capabilities": list(model.capabilities),
    }


def _details(model: Model) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": "1.00M",
        "quantization_level": "F16",
    }


def show(model: Model) -> dict[str, Any]:
    """Return the answer of `/api/show` for one model."""
    found: dict[str, Any] = {"modelfile": f'FROM {model.name}\nTEMPLATE """{model.template}"""\n'}
    if model.can("completion"):
        found["parameters"] = "temperature                    0"
    return {
        **found,
        "template": model.template,
        "details": _details(model),
        "model_info": _model_info(model),
        "tensors": [{"name": "output_norm.weight", "type": "F32", "shape": [model.embedding_length]}],
        "capabilities": list(model.capabilities),
        "modified_at": _MODIFIED,
    }


def _model_info(model: Model) -> Mapping[str, Any]:
    return {
        "general.architecture": model.family,
        "general.file_type": 1,
        "general.parameter_count": 1_000_000,
        f"{model.family}.block_count": 1,
        f"{model.family}.context_length": model.context_length,
        f"{model.family}.embedding_length": model.embedding_length,
    }


def ps_entry(model: Model, expires_at: str, window: int) -> dict[str, Any]:
    """Return what `/api/ps` says about one loaded model; `window` is the context it was loaded with."""
    return {
        "name": model.name,
        "model": model.name,
        "size": model.size,
        "digest": model.digest,
        "details": _details(model),
        "expires_at": expires_at,
        "size_vram": 0,
        "context_length": window,
    }
