"""`o2o serve`: say what is there and how to try it, then become gunicorn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from o2o import __version__, address
from o2o.app import make_upstream
from o2o.config import Settings
from o2o.start import give_up, load_env_file, settings_or_exit
from o2o.survey import SUGGESTED, Survey, survey

_UPSTREAM_VARIABLES = ("OLLAMA_API_BASE_URL", "OLLAMA_HOST")


class Wishes(NamedTuple):
    """What the command line asks for; None leaves it to the environment."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None
    practice: bool = False
    practice_if_absent: bool = False


def serve(wishes: Wishes) -> NoReturn:
    """Replace this process by gunicorn; print first where it listens, which models there are, and what to try."""
    here = Path.cwd()
    load_env_file(here)
    os.environ.update(as_variables(wishes))
    settings = settings_or_exit(here)
    trouble = address.problem(settings.host, settings.port)
    if trouble is not None:
        give_up([trouble.text])
    if settings.port == 0:
        os.environ["PORT"] = str(address.free_port(settings.host))
    if wishes.practice or (wishes.practice_if_absent and _nothing_there(settings)):
        os.environ["OLLAMA_API_BASE_URL"] = _start_practice()
        print(practice_notice(settings, wishes.practice))
    settings = settings_or_exit(here)
    print(greeting(settings, survey(make_upstream(settings))), flush=True)
    configuration = Path(__file__).with_name("gunicorn_conf.py")
    os.execv(  # noqa: S606  # our own interpreter, no shell
        sys.executable, [sys.executable, "-m", "gunicorn", "-c", str(configuration), "o2o.wsgi:app"]
    )


def as_variables(wishes: Wishes) -> Mapping[str, str]:
    """Return what the command line asks for as the settings that say the same."""
    asked = {"O2O_HOST": wishes.host, "PORT": wishes.port, "WEB_CONCURRENCY": wishes.workers}
    return {name: str(value) for name, value in asked.items() if value is not None}


def practice_notice(settings: Settings, wanted: bool) -> str:
    """Return what to print so that nobody takes practice answers for a model's."""
    why = "As asked for" if wanted else f"No Ollama answers at {settings.ollama_api_base_url}"
    return (
        f"{why}: o2o talks to its PRACTICE upstream, a small program without any model.\n"
        "Its answers are made up. For real ones install Ollama (https://ollama.com/download),\n"
        f"run `ollama pull {SUGGESTED}` and start o2o again."
    )


def greeting(settings: Settings, found: Survey) -> str:
    """Return what to print at the start: address, upstream, models, a curl line and a Python snippet."""
    base = address.url(settings.host, settings.port)
    lines = ["", f"o2o {__version__} at {base}/v1", *_upstream_lines(settings, found), ""]
    chat = found.chat_model()
    model = chat.name if chat else SUGGESTED
    keyed = bool(settings.api_keys)
    header = ' -H "Authorization: Bearer $OPENAI_API_KEY"' if keyed else ""
    if keyed:
        lines.append("Try it, after export OPENAI_API_KEY=<one of O2O_API_KEYS>:")
    else:
        lines.append("Try it:")
    message = f'{{"model":"{model}","messages":[{{"role":"user","content":"Hello!"}}]}}'
    lines += [
        "",
        f"curl {base}/v1/chat/completions -H 'Content-Type: application/json'{header} -d '{message}'",
        "",
        "# pip install openai",
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{base}/v1"{"" if keyed else ", api_key=" + chr(34) + "none" + chr(34)})',
        f'answer = client.chat.completions.create(model="{model}",',
        '    messages=[{"role": "user", "content": "Hello!"}])',
        "print(answer.choices[0].message.content)",
        "",
    ]
    return "\n".join(lines)


def _upstream_lines(settings: Settings, found: Survey) -> list[str]:
    where = settings.ollama_api_base_url
    if found.error is not None:
        return [
            f"Ollama at {where} is not there yet: {found.error}",
            "Until it is (`ollama serve`), callers get 503; o2o need not be started again.",
        ]
    version = f" {found.version}" if found.version else ""
    if not found.models:
        return [f"Ollama{version} at {where} has no models yet. Get one: ollama pull {SUGGESTED}"]
    names = ", ".join(model.name for model in found.models[:8])
    more = f" and {len(found.models) - 8} more" if len(found.models) > 8 else ""
    lines = [f"Ollama{version} at {where} has {names}{more}"]
    if found.chat_model() is None:
        lines.append(f"None of them can chat. Get one that can: ollama pull {SUGGESTED}")
    return lines


def _nothing_there(settings: Settings) -> bool:
    if any(os.environ.get(name, "").strip() for name in _UPSTREAM_VARIABLES):
        return False
    return survey(make_upstream(settings)).error is not None


def _start_practice() -> str:
    """Start the practice upstream as a child that ends with this process; return its URL."""
    child = subprocess.Popen(  # our own interpreter, no shell
        [sys.executable, "-m", "o2o", "practice", "--port", "0", "--with-parent"],
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C is for gunicorn, whose last streams still need somebody to talk to.
        start_new_session=True,
    )
    assert child.stdout is not None
    url = child.stdout.readline().strip()
    if not url:
        give_up(["The practice upstream could not be started."])
    return url
