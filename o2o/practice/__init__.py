"""A practice Ollama: the native API, spoken without any model, for a first run and for tests.

Reading order: `server` and `exchange` (HTTP), `routes` (one method an endpoint), `bodies` and `options` (what
Ollama accepts), `models`, `speaking` (from request to answer), `answers` (what is said) with `schema_instance` and
`patterns`, `generation` (how it is cut, counted and spread over lines), `embed`, `tokens`, `gojson`, `origins`, and
`faults` (Ollama's own error texts).

The same request gets the same words, but for times and the ids of tool calls. Nothing here knows o2o.
"""

from o2o.practice.exchange import Exchange, PeerLeft
from o2o.practice.server import PracticeServer, serve

__all__ = ["Exchange", "PeerLeft", "PracticeServer", "serve"]
