"""What holds for all tests: how the processes that they start are measured, and that no law is timed."""

from __future__ import annotations

import os

from coverage import Coverage
from hypothesis import HealthCheck, settings

from tests.clean import REPOSITORY

if Coverage.current() is not None:
    # As `setup.cfg` says: only the process of the tests itself does not tell greenlets apart.
    as_written = Coverage(config_file=str(REPOSITORY / "setup.cfg"))
    os.environ["COVERAGE_PROCESS_CONFIG"] = as_written.config.serialize()

# A machine that is busy with something else must not break a law.
settings.register_profile("o2o", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("o2o")
