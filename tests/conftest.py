"""How the processes that tests start are measured while `make test` measures the tests."""

from __future__ import annotations

import os

from coverage import Coverage

from tests.clean import REPOSITORY

if Coverage.current() is not None:
    # As `setup.cfg` says: only the process of the tests itself does not tell greenlets apart.
    as_written = Coverage(config_file=str(REPOSITORY / "setup.cfg"))
    os.environ["COVERAGE_PROCESS_CONFIG"] = as_written.config.serialize()
