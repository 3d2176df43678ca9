"""The WSGI application: what gunicorn, `flask run` and other WSGI hosts import.

Reads `.env` of the current directory and the environment. Wrong settings are all printed, then the process
ends.
"""

import sys
from pathlib import Path

from o2o.app import create_app
from o2o.start import HALT, settings_or_exit

app = application = create_app(settings_or_exit(Path.cwd(), HALT if "gunicorn.arbiter" in sys.modules else 1))

__all__ = ["app", "application"]
