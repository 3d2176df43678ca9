"""The start of a process: its .env file, its settings, and what the operator reads when they are wrong.

For entry points only. Nothing here may import socket or ssl: gunicorn's master reads its settings through
this module before its workers make those cooperative.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from o2o.config import ConfigError, Settings
from o2o.translate.policy import parse_aliases

HALT = 4
"""gunicorn ends when a worker leaves with this status; after 1 it would start the next one, for ever."""


def load_env_file(directory: Path) -> None:
    """Add the variables of `.env` in `directory` to the environment; those really set stay as they are."""
    path = directory / ".env"
    if not path.exists():
        return
    # Imported here: most processes have no such file.
    from dotenv import load_dotenv

    try:
        load_dotenv(path, override=False)
    except (OSError, UnicodeDecodeError) as error:
        give_up([f"{path} cannot be read: {error}."])


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of `environ`, with what only files and other modules can tell checked too.

    Raises ConfigError with every problem at once.
    """
    problems: list[str] = []
    settings = None
    try:
        settings = Settings.from_env(environ)
    except ConfigError as error:
        problems += error.problems
    aliases = environ.get("O2O_MODEL_ALIASES", "").strip()
    try:
        parse_aliases(aliases)
    except ValueError as error:
        problems.append(f"O2O_MODEL_ALIASES: {error}.")
    ca = environ.get("O2O_UPSTREAM_CA", "").strip()
    if ca and not Path(ca).is_file():
        problems.append(f"O2O_UPSTREAM_CA={ca} is not a file.")
    if settings is None or problems:
        raise ConfigError(problems)
    return settings


def settings_or_exit(directory: Path, status: int = 1) -> Settings:
    """Return the settings of this process, after `.env` in `directory`; print all problems and exit if any."""
    load_env_file(directory)
    try:
        return read_settings(os.environ)
    except ConfigError as error:
        give_up(error.problems, status)


def give_up(problems: list[str], status: int = 1) -> NoReturn:
    """Print `problems` and end the process with `status`."""
    print("o2o cannot start:", file=sys.stderr)
    for problem in problems:
        print(f"  - {problem}", file=sys.stderr)
    print("All settings: docs/configuration.md", file=sys.stderr, flush=True)
    raise SystemExit(status)
