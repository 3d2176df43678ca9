"""gunicorn's settings in this checkout: `gunicorn` without arguments serves o2o.

What they are, and why, stands in `o2o/gunicorn_conf.py`, where an installed o2o finds them too.
"""

from pathlib import Path

from o2o.start import load_env_file

# Before anything reads HOST, PORT and WEB_CONCURRENCY, which gunicorn would otherwise take from elsewhere.
load_env_file(Path(__file__).resolve().parent)

from o2o.gunicorn_conf import *  # noqa: E402,F403  # gunicorn reads the names of this file

wsgi_app = "wsgi:app"
