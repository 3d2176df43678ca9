"""The samples of `deploy/`: the documentation quotes them as they are, and their numbers fit the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from o2o.config import Settings
from tests.clean import REPOSITORY
from tests.deployment.running import SAMPLES

PAGE = (REPOSITORY / "docs" / "deployment.md").read_text("utf-8")
DEFAULTS = Settings()
QUOTED = {
    "nginx": ["nginx.conf"],
    "caddy": ["Caddyfile"],
    "apache": ["apache.conf", "apache-wsgi.conf"],
    "ini": ["o2o.service"],
}
"""Which samples a block of a language may quote."""


def number(name: str, pattern: str) -> float:
    """Return the one number that stands in a sample; all its places have to agree."""
    found = set(re.findall(pattern, (SAMPLES / name).read_text("utf-8")))
    assert len(found) == 1, (name, pattern, found)
    return float(found.pop())


def test_every_sample_is_in_the_documentation_and_every_link_leads_to_one() -> None:
    linked = set(re.findall(r"\]\(\.\./deploy/([\w.-]+)\)", PAGE))
    assert linked == {path.name for path in SAMPLES.iterdir()}


@pytest.mark.parametrize("language", QUOTED)
def test_what_the_documentation_quotes_stands_in_the_sample(language: str) -> None:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    lines = {line.strip() for name in QUOTED[language] for line in (SAMPLES / name).read_text().splitlines()}
    quoted = {line.strip() for block in blocks for line in block.splitlines()}
    assert quoted - lines == set()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("nginx.conf", r"(?m)^    keepalive_timeout (\d+)s;"),
        ("apache.conf", r"\bttl=(\d+)"),
        ("Caddyfile", r"(?m)^\s+keepalive (\d+)s$"),
    ],
)
def test_connections_are_given_up_before_o2o_closes_them(name: str, pattern: str) -> None:
    assert number(name, pattern) < DEFAULTS.header_timeout


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("nginx.conf", r"proxy_read_timeout (\d+)s;"),
        ("apache.conf", r" timeout=(\d+)"),
        ("apache-wsgi.conf", r" socket-timeout=(\d+)"),
    ],
)
def test_whole_answers_may_take_as_long_as_o2o_lets_them(name: str, pattern: str) -> None:
    assert number(name, pattern) > DEFAULTS.deadline


def test_nginx_lets_through_what_o2o_lets_through() -> None:
    assert number("nginx.conf", r"client_max_body_size (\d+)m;") * 2**20 > DEFAULTS.max_body_bytes


def test_systemd_waits_longer_than_the_grace_period() -> None:
    assert number("o2o.service", r"(?m)^TimeoutStopSec=(\d+)$") > DEFAULTS.grace


def test_systemd_understands_its_sample(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (SAMPLES / "o2o.service").read_text("utf-8")
    assert "/srv/o2o/.venv/bin/o2o serve" in unit
    copy = tmp_path / "o2o.service"
    copy.write_text(unit.replace("/srv/o2o/.venv/bin/o2o", sys.executable).replace("/srv/o2o", str(tmp_path)))
    done = subprocess.run([program, "verify", str(copy)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
