"""`python -m o2o` is `o2o`."""

from o2o.cli import main

raise SystemExit(main())
