"""The start of a process: .env, and what is printed when settings are wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from o2o.config import ConfigError
from o2o.start import give_up, read_settings
from tests.clean import UNMEASURED, python


def run(code: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process whose environment nobody else needs afterwards."""
    return python("-c", f"from pathlib import Path\nfrom o2o.start import *\n{code}", cwd=cwd, **environ)


def test_the_env_file_counts_where_no_real_variable_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8111\nO2O_MAX_N=3\n# O2O_GRACE=1\n")
    code = "s = settings_or_exit(Path.cwd()); print(s.port, s.max_n, s.grace)"
    assert run(code, tmp_path, PORT="8222").stdout == "8222 3 30.0\n"


def test_a_missing_env_file_is_none(tmp_path: Path) -> None:
    assert run("print(settings_or_exit(Path.cwd()).port)", tmp_path).stdout == "8000\n"


def test_where_there_is_no_env_file_nothing_is_loaded_to_read_one(tmp_path: Path) -> None:
    code = "import sys; settings_or_exit(Path.cwd()); print('dotenv' in sys.modules)"
    assert run(code, tmp_path, **UNMEASURED).stdout == "False\n"
    (tmp_path / ".env").touch()
    assert run(code, tmp_path, **UNMEASURED).stdout == "True\n"


def test_an_env_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    done = run("settings_or_exit(Path.cwd())", tmp_path)
    assert done.returncode == 1
    assert ".env cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_problems_are_printed_and_the_status_is_1(tmp_path: Path) -> None:
    done = run(
        "settings_or_exit(Path.cwd())", tmp_path, PORT="x", O2O_GRASE="1", O2O_MODEL_ALIASES="nonsense"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "O2O_GRASE is not a setting of o2o; did you mean O2O_GRACE?" in done.stderr
    assert "PORT=x is not a whole number." in done.stderr
    assert "O2O_MODEL_ALIASES" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_start_touches_neither_socket_nor_ssl(tmp_path: Path) -> None:
    code = "settings_or_exit(Path.cwd()); import sys; print({'socket', 'ssl', 'select'} & set(sys.modules))"
    assert run(code, tmp_path, **UNMEASURED).stdout == "set()\n"


def test_a_file_of_certificates_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"O2O_UPSTREAM_CA": str(tmp_path / "no.pem"), "O2O_GRACE": "x"})
    assert len(caught.value.problems) == 2
    there = tmp_path / "ca.pem"
    there.write_text("")
    assert read_settings({"O2O_UPSTREAM_CA": str(there)}).upstream_ca == str(there)


def test_aliases_are_read_at_the_start() -> None:
    assert read_settings({"O2O_MODEL_ALIASES": "gpt-4o=llama3.2"}).model_aliases == "gpt-4o=llama3.2"
    with pytest.raises(ConfigError, match="O2O_MODEL_ALIASES"):
        read_settings({"O2O_MODEL_ALIASES": "gpt-4o"})


def test_giving_up_says_what_is_wrong_and_where_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        give_up(["One.", "Two."], 4)
    assert caught.value.code == 4
    assert capsys.readouterr().err == (
        "o2o cannot start:\n  - One.\n  - Two.\nAll settings: docs/configuration.md\n"
    )
