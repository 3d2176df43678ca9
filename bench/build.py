"""Compile the two C programs with the system's compiler, and make the environments of the Python rows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"


class CannotBuild(Exception):
    """A tool is missing or said no; the message tells which and what."""


def compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compile_tool(name: str, directory: Path = BUILD) -> Path:
    """Return the program made from `bench/<name>.c`, compiled into `directory` if it is older than its source."""
    source, program = HERE / f"{name}.c", directory / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    cc = compiler()
    if cc is None:
        raise CannotBuild("no C compiler found (cc, gcc or clang)")
    directory.mkdir(parents=True, exist_ok=True)
    # -O3: counting the bytes of an embedding must not cost more than receiving them.
    command = [cc, "-O3", "-std=c11", "-Wall", "-Wextra", "-o", str(program), str(source)]
    _run(command, f"compiling {source.name}", 120)
    return program


def environment(directory: Path, requirements: Path) -> Path:
    """Return the Python of a virtual environment that holds `requirements`, made with this interpreter if need be."""
    python, stamp = directory / "bin" / "python", directory / "installed"
    wanted = requirements.read_text() + sys.version
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making bench/{directory.name} (once) ...", file=sys.stderr, flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(directory)], "making an environment", 300)
    _run(
        [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)],
        f"installing {requirements.name}",
        1200,
    )
    stamp.write_text(wanted)
    return python


def _run(command: list[str], what: str, timeout: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise CannotBuild(f"{what} took longer than {timeout:g} s") from late
    if done.returncode:
        raise CannotBuild(f"{what} failed: {done.stderr.strip()[-600:]}")
