"""What an Ollama has to offer, for people who start or check o2o; nothing of this serves requests."""

from __future__ import annotations

import threading
from typing import NamedTuple

from o2o.catalogue import Catalogue
from o2o.errors import O2OError
from o2o.upstream.client import Upstream

SUGGESTED = "llama3.2"
SUGGESTED_EMBEDDING = "nomic-embed-text"


class Known(NamedTuple):
    """One model: None is what Ollama did not say."""

    name: str
    capabilities: frozenset[str] | None
    context_length: int | None
    """The longest window the model can have, in tokens."""
    window: int | None
    """The window it is loaded with, in tokens; None when it is not loaded."""
    size: int
    remote: bool

    @property
    def chats(self) -> bool:
        """Whether it can answer, as far as is known."""
        return self.capabilities is None or "completion" in self.capabilities

    @property
    def embeds(self) -> bool:
        """Whether it makes embeddings."""
        return self.capabilities is not None and "embedding" in self.capabilities


class Survey(NamedTuple):
    """What was found: either an error in plain words, or a version and models, newest first."""

    error: str | None
    version: str = ""
    models: tuple[Known, ...] = ()

    def chat_model(self) -> Known | None:
        """Return the model to try a chat with: a loaded one, else the smallest on this machine, else any."""
        return _handiest([model for model in self.models if model.chats])

    def embedding_model(self) -> Known | None:
        """Return the model to try an embedding with, chosen alike."""
        return _handiest([model for model in self.models if model.embeds])


def survey(upstream: Upstream, patience: float = 3.0) -> Survey:
    """Ask `upstream` what it has; after `patience` seconds it counts as one that does not answer."""
    found: list[Survey] = []
    thread = threading.Thread(target=lambda: found.append(_ask(upstream, patience / 2)), daemon=True)
    thread.start()
    thread.join(patience)
    return found[0] if found else Survey(f"it did not answer within {patience:g} seconds")


def _ask(upstream: Upstream, patience: float) -> Survey:
    try:
        version = str(upstream.version().get("version", ""))
        listing = Catalogue(upstream).listing(patience)
    except O2OError as error:
        return Survey(str(error))
    windows = {
        entry.get("digest"): entry.get("context_length") for entry in listing.loaded.get("models") or ()
    }
    models = []
    for entry in listing.tags.get("models") or ():
        facts = listing.facts.get(str(entry.get("digest", "")))
        models.append(
            Known(
                name=str(entry.get("name", "")),
                capabilities=facts.capabilities if facts else None,
                context_length=facts.context_length if facts else None,
                window=windows.get(entry.get("digest")),
                size=int(entry.get("size") or 0),
                remote=bool(entry.get("remote_model") or entry.get("remote_host")),
            )
        )
    return Survey(None, version, tuple(models))


def _handiest(models: list[Known]) -> Known | None:
    return min(models, key=lambda model: (model.remote, model.window is None, model.size), default=None)
