"""The wheel: what is in it, and that it serves without the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from o2o import __version__
from tests.clean import REPOSITORY, environment
from tests.ollama import FakeOllama


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, made from a copy, so that nothing is left behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "o2o", source / "o2o", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            target,
            source,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (made,) = target.glob("*.whl")
    return made


def test_the_wheel_has_everything_that_is_needed_to_serve(wheel: Path) -> None:
    assert wheel.name == f"o2o-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        scripts = archive.read(f"o2o-{__version__}.dist-info/entry_points.txt").decode()
    here = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "o2o").rglob("*")
        if path.suffix in (".py", ".json", ".typed")
    }
    assert here <= names
    assert not [name for name in names if name.startswith(("tests", "bench")) or name.endswith(".pth")]
    assert "o2o = o2o.cli:main" in scripts


def test_an_installed_o2o_serves_from_any_directory(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    with FakeOllama() as ollama:
        process = subprocess.Popen(
            [sys.executable, "-m", "o2o", "serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1"],
            cwd=elsewhere,
            env=environment(PYTHONPATH=str(installed), OLLAMA_API_BASE_URL=ollama.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Booting worker" in line:
                break
        process.terminate()
        lines.append(process.stdout.read())
        process.stdout.close()
        assert process.wait(20) == 0, lines
    assert any("has practice:latest" in line for line in lines), lines
