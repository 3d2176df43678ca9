"""`make`: what it prints, makes and installs; the Python of these tests only writes down what it is told to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clean import REPOSITORY, environment
from tests.ollama import FakeOllama
from tests.server import Server

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")

FILES = ("Makefile", "setup.cfg", "pyproject.toml", "requirements.lock", "requirements-dev.lock")
NEEDED = ("make", "rm", "sed", "touch", "mkdir", "cp", "column")
PYTHON = """\
#!/bin/bash
# A Python that installs nothing, and runs o2o with the one of the tests.
case "$1 $2" in
  "-c "*) echo works; exit {age} ;;
  "--version "*) echo "Python 3.99" ;;
  "-m venv") echo "venv" >> {done}; mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") echo "pip ${{@: -1}}" >> {done} ;;
  "-m o2o") exec {python} "$@" ;;
esac
"""


class Checkout:
    """A copy of what `make` needs, with tools that leave the network alone; `done` is what was done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.tools = folder / "tools"
        self._done = folder / "done"
        self.folder.mkdir()
        self.tools.mkdir()
        for name in FILES:
            shutil.copy(REPOSITORY / name, self.folder)
        for name in NEEDED:
            found = shutil.which(name)
            if found is not None:
                (self.tools / name).symlink_to(found)
        self.have_python()

    def have_python(self, *, new_enough: bool = True) -> None:
        """Have a `python3` among the tools."""
        script = self.tools / "python3"
        script.write_text(PYTHON.format(age=int(not new_enough), done=self._done, python=sys.executable))
        script.chmod(0o755)

    @property
    def done(self) -> list[str]:
        """What was done since the last time."""
        if not self._done.exists():
            return []
        lines = self._done.read_text().splitlines()
        self._done.unlink()
        return lines

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make to its end."""
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=environment(PATH=str(self.tools)),
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


RUN = ["venv", "pip requirements.lock", "pip ."]
TEST = ["pip requirements-dev.lock"]


def test_help_names_every_target_and_is_what_make_alone_prints(checkout: Checkout) -> None:
    [line] = re.findall(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    shown = checkout.make("help")
    assert set(re.findall(r"^  make (\S+)  +\S", shown.stdout, re.MULTILINE)) == set(line.split())
    assert checkout.make().stdout == shown.stdout
    assert checkout.done == []


def test_setup_makes_an_environment_in_the_checkout_and_nothing_beside_it(checkout: Checkout) -> None:
    before = set(checkout.folder.iterdir())
    made = checkout.make("setup")
    assert made.returncode == 0, made.stderr
    assert checkout.done == RUN + TEST
    assert set(checkout.folder.iterdir()) - before == {checkout.folder / ".venv"}


def test_a_second_time_nothing_is_installed(checkout: Checkout) -> None:
    checkout.make("setup")
    assert checkout.done
    assert checkout.make("setup").returncode == 0
    assert checkout.done == []


def test_other_pins_are_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.make("setup")
    assert checkout.done
    late = (checkout.folder / ".venv/.dev-ready").stat().st_mtime + 10
    os.utime(checkout.folder / "requirements-dev.lock", (late, late))
    checkout.make("setup")
    assert checkout.done == TEST


def test_an_environment_whose_interpreter_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.make("setup")
    assert checkout.done
    python = checkout.folder / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/gone/python3")
    assert checkout.make("setup").returncode == 0
    assert checkout.done == RUN + TEST


def test_without_a_python_that_is_new_enough_the_remedy_is_told(checkout: Checkout) -> None:
    checkout.have_python(new_enough=False)
    failed = checkout.make("run")
    assert failed.returncode != 0
    assert "needs Python 3.10 or newer" in failed.stderr
    assert "PYTHON=/path/to/python3 make run" in failed.stderr
    assert checkout.done == []


def test_run_installs_what_is_needed_for_running_and_starts(checkout: Checkout) -> None:
    with FakeOllama() as ollama:
        command = ["make", "-C", str(checkout.folder), "run"]
        settings = {"PATH": str(checkout.tools), "PYTHONPATH": str(REPOSITORY)}
        with Server(ollama.url, settings, command=command) as server:
            assert f"at {server.url}/v1" in server.log
        assert checkout.done == RUN
