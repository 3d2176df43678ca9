"""o2o answers OpenAI's API with the models of an Ollama server.

In reading order:

    errors        everything that can go wrong, and how OpenAI says it
    config        the settings, read once at the start (with setting_kinds, start)
    schemas       what callers may send
    translate     OpenAI <-> Ollama, pure: bodies to turns, replies to choices
    upstream      Ollama over the network
    sse           events of a stream
    body          what stands at the door: bodies (with verbatim, pages), and auth, origin, admission
    hangup        noticing that a request should end (with ears)
    ticket        one request as the server sees it (with log, ids)
    catalogue     what is known of Ollama's models
    tokens        token arrays of callers, where there is a vocabulary for them
    generation    where translation meets the network
    blueprints    the HTTP surface, one file for each family of endpoints (with services)
    app           create_app: where everything is put together
    worker        gunicorn's worker, ours (with sending, gunicorn_conf, wsgi)
    cli           o2o serve, o2o check, o2o practice (with serve, check, survey, address)
    practice      an Ollama without models, for a first run and for tests

docs/design.md follows a request through them.
"""

__version__ = "0.1.0"
