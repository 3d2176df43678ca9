"""Ollama over the network: the only place that imports requests.

Reading order: `line` (what ties one caller's request to the connections made for it), `http1` and `ndjson`
(bytes to replies, pure), `exchange` (one request and its answer on one connection), `client` (the upstream).
"""
