"""Names of models, as Ollama reads them: `[host/][namespace/]name[:tag]`, whatever the case."""

from __future__ import annotations

_DEFAULT_HOST = "registry.ollama.ai/"
_DEFAULT_NAMESPACE = "library/"


def canonical(name: str) -> str:
    """Return the spelling under which two names of one model are equal: lower case, with a tag."""
    name = name.strip().lower().removeprefix(_DEFAULT_HOST).removeprefix(_DEFAULT_NAMESPACE)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def namespace(name: str) -> str:
    """Return who published a model; what has no namespace is Ollama's own library."""
    *above, _ = name.split("/")
    return above[-1] if above else "library"


def is_cloud(name: str) -> bool:
    """Tell whether Ollama would send requests for this name to its cloud without having pulled anything."""
    return name.strip().lower().endswith((":cloud", "-cloud"))
