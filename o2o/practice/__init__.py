"""A practice Ollama: the native API, spoken without any model, for a first run and for tests.

Reading order: `server` (HTTP), `routes` (one method an endpoint), `bodies` (what Ollama accepts),
`models`, `answers` (what is said) with `arguments`, `schema_instance` and `patterns`, `generation` (how it is
cut, counted and spread over lines), `embed`, `tokens`, `faults` (Ollama's own error texts).

The same request gets the same words, but for times and the ids of tool calls. Nothing here knows o2o.
"""

from o2o.practice.server import Exchange, PeerLeft, PracticeServer, serve

__all__ = ["Exchange", "PeerLeft", "PracticeServer", "serve"]
