"""The rows of the comparison: what stands between the load and the fake Ollama, and how it is started.

To add one, write a function that returns a Row and name it in ROWS.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import build, measure

HERE = Path(__file__).parent
ROOT = HERE.parent
OUR_PACKAGES = (
    "gunicorn",
    "gevent",
    "flask",
    "requests",
    "urllib3",
    "jsonschema",
    "fastjsonschema",
    "msgspec",
)


class Absent(Exception):
    """A row cannot take part on this machine; the message says why."""


@dataclass(frozen=True)
class Row:
    """One row: `command(port, upstream, directory)` starts it; `shape` is the API it speaks, openai or native."""

    name: str
    shape: str
    ready: str
    command: Callable[[int, int, Path], list[str | Path]] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    lacks: frozenset[str] = frozenset()
    """Kinds of scenarios that it cannot do."""
    start_seconds: float = 20
    versions: Mapping[str, str] = field(default_factory=dict)

    def environment(self, port: int, upstream: int, key: str) -> dict[str, str]:
        """Return the environment to start it in: nothing of the caller's that could change the settings or Python.

        PYTHONDONTWRITEBYTECODE would make a row compile its own modules at every start, but not what pip installed.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("O2O_", "OLLAMA_", "GUNICORN_", "PYTHON", "WEB_", "LITELLM_"))
            and name.upper() not in {"HOST", "PORT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
        }
        added = {
            "OLLAMA_API_BASE_URL": f"http://127.0.0.1:{upstream}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        return kept | added | {name: value.format(key=key) for name, value in self.environ.items()}


def direct() -> Row:
    """The fake Ollama itself: what the load and the upstream cost."""
    return Row("direct", "native", "/api/version")


def nginx() -> Row:
    """A proxy in C that changes nothing."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Absent("nginx is not installed")

    def command(port: int, upstream: int, directory: Path) -> list[str | Path]:
        names = {"DIRECTORY": str(directory), "UPSTREAM": f"127.0.0.1:{upstream}", "PORT": str(port)}
        text = (HERE / "nginx.conf.in").read_text()
        for name, value in names.items():
            text = text.replace(f"@{name}@", value)
        config = directory / "nginx.conf"
        config.write_text(text)
        return [program, "-c", config]

    said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=10, check=False).stderr
    return Row(
        "nginx", "native", "/api/version", command, versions={"nginx": said.rpartition("/")[2].strip()}
    )


def naive() -> Row:
    """The adapter that one writes first, on o2o's own libraries."""
    gunicorn = _beside_this_python("gunicorn")

    def command(port: int, upstream: int, directory: Path) -> list[str | Path]:
        return [gunicorn, "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}", "naive:app"]

    lacks = frozenset({"logprobs"})
    # In its own folder gunicorn does not find the project's gunicorn.conf.py.
    return Row("naive", "openai", "/v1/models", command, cwd=HERE, lacks=lacks)


def fastapi() -> Row:
    """The adapter that is usually written, on FastAPI, httpx and uvicorn."""
    python = _environment(".venv", "requirements-fastapi.txt")

    def command(port: int, upstream: int, directory: Path) -> list[str | Path]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        return [python, "-m", "uvicorn", "fastapi_adapter:app", *options]

    lacks = frozenset({"embed", "base64", "logprobs"})
    found = measure.versions_of(python, ("fastapi", "httpx", "uvicorn"))
    return Row("fastapi", "openai", "/v1/models", command, cwd=HERE, lacks=lacks, versions=found)


def litellm(models: Iterable[str]) -> Row:
    """LiteLLM's proxy, for those who would take it instead; it must be told every model's name."""
    python = _environment(".venv-litellm", "requirements-litellm.txt")
    names = sorted(models)

    def command(port: int, upstream: int, directory: Path) -> list[str | Path]:
        base = f"http://127.0.0.1:{upstream}"
        listed = [
            {"model_name": name, "litellm_params": {"model": f"{_provider(name)}/{name}", "api_base": base}}
            for name in names
        ]
        config = directory / "litellm.yaml"  # JSON is YAML
        config.write_text(json.dumps({"model_list": listed, "litellm_settings": {"drop_params": True}}))
        options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [python.parent / "litellm", *options]

    environ = {"LITELLM_MASTER_KEY": "{key}", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environ |= {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    found = measure.versions_of(python, ("litellm",))
    lacks = frozenset({"logprobs", "tools", "thinking"})
    return Row(
        "litellm", "openai", "/v1/models", command, environ, lacks=lacks, start_seconds=90, versions=found
    )


def o2o(workers: int = 1) -> Row:
    """This project by its shipped command and configuration, with one worker unless told otherwise."""
    if not (ROOT / "wsgi.py").exists():
        raise Absent("wsgi.py is not there")
    gunicorn = _beside_this_python("gunicorn")

    def command(port: int, upstream: int, directory: Path) -> list[str | Path]:
        return [gunicorn, "wsgi:app"]

    found = measure.versions_here(OUR_PACKAGES)
    environ = {"WEB_CONCURRENCY": str(workers)}
    return Row("o2o", "openai", "/v1/models", command, environ, cwd=ROOT, versions=found)


def prepare(names: Iterable[str], models: Iterable[str]) -> tuple[list[Row], dict[str, str]]:
    """Return the rows that can take part, and why the others cannot."""
    makers: dict[str, Callable[[], Row]] = {
        "direct": direct,
        "nginx": nginx,
        "naive": naive,
        "fastapi": fastapi,
        "litellm": lambda: litellm(models),
        "o2o": o2o,
    }
    found, absent = [], {}
    for name in names:
        try:
            found.append(makers[name]())
        except (Absent, build.CannotBuild) as reason:
            absent[name] = str(reason)
    return found, absent


ROWS = ("direct", "nginx", "naive", "fastapi", "o2o")
QUICK_ROWS = ("direct", "nginx", "fastapi", "o2o")
ALL_ROWS = (*ROWS, "litellm")


def _provider(model: str) -> str:
    return "ollama" if model.startswith("e") else "ollama_chat"


def _beside_this_python(program: str) -> Path:
    path = Path(sys.executable).with_name(program)
    if not path.exists():
        raise Absent(f"{program} is not installed beside this Python")
    return path


def _environment(directory: str, requirements: str) -> Path:
    return build.environment(HERE / directory, HERE / requirements)
