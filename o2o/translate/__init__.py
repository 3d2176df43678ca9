"""OpenAI to Ollama and back; pure: no I/O, no clock, no randomness, no globals.

Reading order: `turn` (what an answer in the making is), `chat`, `completions`, `embeddings` and `models` (one
endpoint each), then the parts that they share.
"""
