"""What o2o promises when something goes wrong, measured: one module for each kind of trouble.

Each has functions that take the `ground` and return figures; `bench.soak` runs them. What they do to o2o, and the
Ollama that goes wrong, are those of `tests/reliability`, in larger numbers.
"""
