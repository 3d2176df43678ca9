"""The whole server on the plain ways, for `TEST_PLAIN=1 pytest tests/e2e`: the same tests, the same answers."""

from __future__ import annotations

from pathlib import Path

from o2o.app import create_app
from o2o.start import settings_or_exit

app = create_app(settings_or_exit(Path.cwd()), short_ways=False)
