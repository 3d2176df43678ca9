"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from o2o.app import create_app
from o2o.config import Described, Settings, describe, env_example
from tests.clean import REPOSITORY

PACKAGE = REPOSITORY / "o2o"
TESTS = REPOSITORY / "tests"
MOST_LINES = 400

TESTED_ELSEWHERE = {
    "__main__": "test_cli.py",
    "blueprints/_delivery": "e2e",
    "blueprints/_request": "e2e",
    "blueprints/_response": "e2e",
    "blueprints/chat": "e2e",
    "blueprints/completions": "e2e",
    "blueprints/elsewhere": "e2e",
    "blueprints/embeddings": "e2e",
    "blueprints/models": "e2e",
    "blueprints/ops": "e2e",
    "schemas/_compile": "schemas/test_schemas.py",
    "schemas/_explain": "schemas/test_schemas.py",
    "schemas/_fast": "schemas/test_schemas.py",
    "schemas/_load": "schemas/test_schemas.py",
    "services": "e2e",
    "translate/splicing": "property/test_splicing_laws.py",
    "upstream/exchange": "upstream/test_client.py",
    "upstream/replies": "upstream/test_client.py",
}
"""Modules without a test module of their own name, and where they are tested instead."""

VAGUE = {
    "base",
    "common",
    "core",
    "handler",
    "helper",
    "helpers",
    "manager",
    "misc",
    "process",
    "util",
    "utils",
}
"""Names that say nothing about what is inside."""


def modules(folder: Path = PACKAGE) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if not any(p.startswith(".") for p in path.parts))


def code() -> Iterator[Path]:
    for folder in (PACKAGE, TESTS, REPOSITORY / "bench"):
        yield from modules(folder)
    yield from (REPOSITORY / "wsgi.py", REPOSITORY / "gunicorn.conf.py")


def test_every_module_has_its_tests() -> None:
    missing = []
    for path in modules():
        name = path.relative_to(PACKAGE).with_suffix("")
        if path.name == "__init__.py":
            continue
        mirrored = TESTS / name.parent / f"test_{name.name.lstrip('_')}.py"
        elsewhere = TESTED_ELSEWHERE.get(name.as_posix())
        if not mirrored.exists() and not (elsewhere and (TESTS / elsewhere).exists()):
            missing.append(name.as_posix())
    assert missing == []


def test_the_list_of_exceptions_names_only_modules_that_exist() -> None:
    gone = [name for name in TESTED_ELSEWHERE if not (PACKAGE / f"{name}.py").exists()]
    assert gone == []


def test_no_module_is_too_long_to_read() -> None:
    long = {
        path.relative_to(REPOSITORY).as_posix(): lines
        for path in modules()
        if (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_every_module_says_what_lives_in_it() -> None:
    silent = [
        path.relative_to(REPOSITORY).as_posix()
        for path in modules()
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_no_module_or_class_has_a_name_that_says_nothing() -> None:
    found = []
    for path in modules():
        if path.stem in VAGUE:
            found.append(path.stem)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and re.search(
                r"(Manager|Helper|Util|Utils|Processor)$", node.name
            ):
                found.append(node.name)
    assert found == []


def test_nothing_is_mocked() -> None:
    found = []
    for path in code():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)]
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            if isinstance(node, (ast.Import, ast.ImportFrom)) and any(
                "mock" in name.lower() for name in names
            ):
                found.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")
    assert found == []


def test_every_silenced_check_has_a_reason() -> None:
    found = []
    for path in code():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            silenced = re.search(r"#\s*(type: ignore\b\S*|noqa\b(?:: [A-Z0-9, ]+)?)(.*)", line)
            if silenced and path.name != "test_house.py" and not re.search(r"\w{2}", silenced[2]):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}")
    assert found == []


@pytest.mark.parametrize("entry", list(describe()), ids=lambda entry: entry.name)
def test_every_setting_is_documented(entry: Described) -> None:
    rows = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
    default = f"`{entry.default}`" if entry.default else "unset"
    assert f"| `{entry.name}` | {default} | {entry.kind} | {entry.doc} |" in rows


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {entry.name for entry in describe()}
    for page in (REPOSITORY / "docs").glob("*.md"):
        rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", page.read_text("utf-8"), re.MULTILINE)
        assert set(rows) <= known, page.name


def test_the_example_file_is_what_the_settings_say() -> None:
    assert (REPOSITORY / ".env.example").read_text("utf-8") == env_example()


def endpoints() -> list[str]:
    """Return the paths that are served, as the documentation writes them; other prefixes lead to the same."""
    app = create_app(Settings())
    paths = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}
    own = {path for path in paths if path.count("/v1") == 1 and path.startswith("/v1/")}
    return sorted(own | {path for path in paths if re.fullmatch(r"/(\w+z|health|metrics)?", path)})


def test_every_endpoint_is_in_the_list_of_what_is_compatible() -> None:
    page = (REPOSITORY / "docs" / "compatibility.md").read_text("utf-8")
    served = endpoints()
    assert "/v1/chat/completions" in served
    assert [path for path in served if f"{path}`" not in page] == []


def test_dependencies_are_few() -> None:
    assert len(requirements()) <= 10


def requirements() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return [line for line in setup["options"]["install_requires"].splitlines() if line]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_everything_that_is_installed_is_pinned_by_hash_and_by_no_place(name: str) -> None:
    text = (REPOSITORY / name).read_text("utf-8")
    assert not re.search(
        r"^\s*(-i|-f|--(extra-)?index-url|--find-links|--trusted-host)|://", text, re.MULTILINE
    )
    pins = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    for pin in pins:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", pin), pin
        assert "--hash=sha256:" in pin, pin
    for requirement in requirements():
        wanted = re.split(r"[\[><=]", requirement)[0]
        assert re.search(rf"^{re.escape(wanted)}==", text, re.MULTILINE), wanted


def test_the_changelog_is_kept() -> None:
    assert "## [Unreleased]" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
