"""What o2o promises when something goes wrong, shown with real servers, sockets and clients."""

import pytest

# Modules that assert and are no test modules themselves.
pytest.register_assert_rewrite("tests.reliability.rows_of_callers", "tests.reliability.rows_of_processes")
