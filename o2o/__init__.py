"""o2o answers OpenAI's API with the models of an Ollama server.

In reading order:

    config        the settings, read once at the start
    errors        everything that can go wrong, and how OpenAI says it
    schemas       what callers may send
    translate     OpenAI <-> Ollama, pure
    upstream      Ollama over the network
    sse           events of a stream
    generation    where translation meets the network
    blueprints    the HTTP surface, one file for each family of endpoints
    app           create_app: where everything is put together
    worker        gunicorn's worker, ours
    cli           o2o serve, o2o check, o2o practice
"""

__version__ = "0.1.0"
