"""JSON Schemas of callers: bounded, said to Ollama, and held against a finished value; pure.

Reading order: `places` (where schemas stand in a schema, where a `$ref` leads), `bounds` (what is refused),
`merging`, `patterns` and `grammar` (what llama.cpp cannot read is said in another way), `conformity` (what a
finished value breaks). A caller's regular expression is never run, and no `$ref` ever leads out of its document.
"""

from o2o.translate.json_schema.bounds import check_bounds
from o2o.translate.json_schema.conformity import violation
from o2o.translate.json_schema.grammar import for_grammar

__all__ = ["check_bounds", "for_grammar", "violation"]
