"""The WSGI application of this checkout: `gunicorn`, `flask run`, or any host that asks for `application`.

The `.env` next to this file counts, whatever the current directory is.
"""

from pathlib import Path

from o2o.start import load_env_file

load_env_file(Path(__file__).resolve().parent)

from o2o.wsgi import app, application  # noqa: E402  # it reads the environment that .env has completed

__all__ = ["app", "application"]
