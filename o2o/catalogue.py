"""What is known of Ollama's models: their list, and facts that are asked once and kept for a short while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from o2o.errors import ModelNotFound, O2OError, Refused
from o2o.translate.facts import Facts, facts_from_show
from o2o.translate.faults import to_error
from o2o.translate.names import canonical
from o2o.translate.window import AUTOMATIC, Kept
from o2o.upstream.client import Upstream

KEEP = 60.0
"""Seconds for which what was learnt about a model holds."""
_WINDOWS_KEEP = 2.0
"""Seconds for which the windows of the loaded models hold."""
_AT_ONCE = 4
"""How many models are asked about at a time."""
_MOST = 10_000
"""How many models are remembered; a flood of invented names must not fill the memory."""


class Listing(NamedTuple):
    """All models, as far as they are known at this moment."""

    tags: dict[str, Any]
    facts: Mapping[str, Facts]
    """By digest."""
    loaded: dict[str, Any]


class Catalogue:
    """Remembers `/api/show` by name and by digest; one for each process, safe for threads and greenlets."""

    def __init__(
        self, upstream: Upstream, *, keep: float = KEEP, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._upstream = upstream
        self._keep = keep
        self._clock = clock
        self._by_name: dict[str, tuple[float, Facts]] = {}
        self._by_digest: dict[str, Facts] = {}
        self._digests: dict[str, str] = {}
        self._asked: set[str] = set()
        self._slots = threading.Semaphore(_AT_ONCE)
        self._sent: set[str] = set()
        self._grew: set[str] = set()
        self._windows: tuple[float, dict[str, int]] = (float("-inf"), {})
        self._version: tuple[float, tuple[int, ...]] | None = None

    def facts(self, model: str) -> Facts | None:
        """Return what `/api/show` says of a model; None where Ollama says nothing useful.

        Raises ModelNotFound, or what the network does.
        """
        key = canonical(model)
        known = self._by_name.get(key)
        now = self._clock()
        if known is not None and now - known[0] < self._keep:
            return known[1]
        try:
            facts = facts_from_show(self._upstream.show(model))
        except Refused as refused:
            error = to_error(refused, model=model, about="messages", tools=False, limit=None)
            if isinstance(error, ModelNotFound):
                raise error from refused
            return None
        if len(self._by_name) >= _MOST:
            self._by_name.clear()
        self._by_name[key] = (now, facts)
        return facts

    def knows(self, model: str) -> bool:
        """Tell whether there is such a model."""
        try:
            return self.facts(model) is not None
        except ModelNotFound:
            return False

    def digest(self, model: str) -> str | None:
        """Return the digest of a model if a list has shown it."""
        return self._digests.get(canonical(model))

    def window(self, model: str, wanted: int | None) -> int | None:
        """Return the window to ask for: what is wanted, or the larger one that the model is loaded with.

        Where nobody ever asked for a window here it is None, and Ollama is not asked.
        """
        if wanted is None and canonical(model) not in self._sent:
            return None
        loaded = self.loaded_window(model)
        if wanted is None:
            return loaded
        return wanted if loaded is None else max(wanted, loaded)

    def kept_window(self, model: str) -> Kept | None:
        """Return the window to ask for where nobody wants one, and whether it grew here."""
        window = self.window(model, None)
        return None if window is None else Kept(window, canonical(model) in self._grew)

    def sent_window(self, model: str, window: int, *, grown: bool = False) -> None:
        """Remember that a window was asked for: from now on this model keeps the largest."""
        key = canonical(model)
        if key not in self._sent and window in AUTOMATIC and self._windows[1].get(key) == window:
            return  # it had this window before, most likely by Ollama's own choice
        if key in self._sent or len(self._sent) < _MOST:
            self._sent.add(key)
            if grown:
                self._grew.add(key)
            # It is loaded with it now, whatever the last look said.
            self._windows[1][key] = max(window, self._windows[1].get(key, 0))

    def loaded_window(self, model: str) -> int | None:
        """Return the window that a model is loaded with at this moment; None if it is not, or nobody knows."""
        now = self._clock()
        if now - self._windows[0] >= _WINDOWS_KEEP:
            try:
                found = loaded_windows(self._upstream.ps())
            except O2OError:
                return None
            self._windows = (now, found)
        windows = self._windows[1]
        # Two names of one model share what is loaded, which is listed under the first.
        return windows.get(canonical(model)) or windows.get(self.digest(model) or "")

    def version(self) -> tuple[int, ...] | None:
        """Return Ollama's version, asked once in a while; None when it cannot be had."""
        now = self._clock()
        if self._version is None or now - self._version[0] >= self._keep:
            try:
                text = str(self._upstream.version().get("version", ""))
            except O2OError:
                return None
            self._version = (now, parse_version(text))
        return self._version[1]

    def listing(self, patience: float) -> Listing:
        """Return all models; facts that do not come within `patience` seconds are left out this time."""
        tags = self._upstream.tags()
        until = self._clock() + patience
        missing: dict[str, str] = {}
        for entry in tags.get("models") or ():
            name, digest = str(entry.get("name", "")), str(entry.get("digest", ""))
            self._digests[canonical(name)] = digest
            if digest and digest not in self._by_digest:
                missing.setdefault(digest, name)
        threads = [self._learn(digest, name) for digest, name in missing.items() if digest not in self._asked]
        loaded: dict[str, Any] = {}
        try:
            loaded = self._upstream.ps()
        except O2OError:
            pass  # the list is right without it
        for thread in threads:
            thread.join(max(0.0, until - self._clock()))
        return Listing(tags, dict(self._by_digest), loaded)

    def _learn(self, digest: str, name: str) -> threading.Thread:
        self._asked.add(digest)
        thread = threading.Thread(target=self._ask, args=(digest, name), daemon=True)
        thread.start()
        return thread

    def _ask(self, digest: str, name: str) -> None:
        try:
            with self._slots:
                self._by_digest[digest] = facts_from_show(self._upstream.show(name))
        except O2OError:
            pass  # unknown for now; asked again with the next list
        finally:
            self._asked.discard(digest)


def parse_version(text: str) -> tuple[int, ...]:
    """Return `0.32.15-rc1` as (0, 32, 15)."""
    numbers = []
    for part in text.split("-")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def loaded_windows(ps: Mapping[str, Any]) -> dict[str, int]:
    """Return the window of each loaded model, by its canonical name and by its digest."""
    found: dict[str, int] = {}
    for entry in ps.get("models") or ():
        name, digest, window = entry.get("name"), entry.get("digest"), entry.get("context_length")
        if isinstance(name, str) and isinstance(window, int):
            found[canonical(name)] = window
            if isinstance(digest, str) and digest:
                found[digest] = max(window, found.get(digest, 0))
    return found
