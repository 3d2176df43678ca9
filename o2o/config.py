"""The settings: one frozen object, read from an environment that is passed in.

Nothing here reads `os.environ`, a file or the network, and nothing is read at import. Entry points call
`Settings.from_env`; only they, `app` and `cli` know the class, everybody else gets values as arguments.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from o2o import setting_kinds as kinds
from o2o.setting_kinds import Kind

_TRIPLET = re.compile(
    r"[a-z0-9_]+-(conda|apple|pc|unknown|linux|w64)(_[a-z0-9]+)?-[a-z0-9_.-]+", re.IGNORECASE
)
# Kubernetes gives every pod variables about each service of its namespace; for one called o2o they look like ours.
_INJECTED = re.compile(r"O2O_PORT(_.*)?|O2O_SERVICE_.*")
_PASSWORD = re.compile(r"//[^/@]*@")


class ConfigError(Exception):
    """Settings that cannot work; `problems` has a sentence for each of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Described(NamedTuple):
    """What the documentation says about one variable of the environment."""

    name: str
    default: str
    doc: str
    kind: str
    section: str


def _setting(default: Any, kind: Kind, section: str, doc: str, *, names: tuple[str, ...] = ()) -> Any:
    # Names beyond the first are other places to look, in order of precedence.
    return field(default=default, metadata={"kind": kind, "section": section, "doc": doc, "names": names})


_NETWORK, _ACCESS, _MODELS = "Network", "Access", "Models"
_LENGTHS, _ANSWERS, _TIME, _LIMITS = "Context and length", "Answers", "Time", "Limits"


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings, checked; seconds are floats, what is not set is None or empty."""

    ollama_api_base_url: str = _setting(
        "http://localhost:11434",
        kinds.base_url(),
        _NETWORK,
        "Where Ollama listens.",
        names=("OLLAMA_API_BASE_URL", "OLLAMA_HOST"),
    )
    upstream_api_key: str | None = _setting(
        None,
        kinds.secret(),
        _NETWORK,
        "Bearer token sent to Ollama, for one behind a proxy that asks for it.",
    )
    upstream_ca: str | None = _setting(
        None, kinds.text(), _NETWORK, "File with the certificates that vouch for an Ollama behind https."
    )
    host: str = _setting(
        "0.0.0.0", kinds.address(), _NETWORK, "Address to listen on.", names=("O2O_HOST", "HOST")
    )
    port: int = _setting(8000, kinds.whole(0, 65535), _NETWORK, "Port to listen on.", names=("PORT",))
    web_concurrency: int = _setting(
        2, kinds.whole(1, 1024), _NETWORK, "Worker processes of gunicorn.", names=("WEB_CONCURRENCY",)
    )

    api_keys: tuple[str, ...] = _setting(
        (),
        kinds.secrets_list(),
        _ACCESS,
        "Keys that callers must show one of; without any, everybody may call.",
    )
    require_keys: bool = _setting(False, kinds.flag(), _ACCESS, "Refuse to start without O2O_API_KEYS.")
    cors_origins: tuple[str, ...] = _setting(
        (),
        kinds.origins(),
        _ACCESS,
        "Web origins that may call from a browser, besides those of this machine and of desktop apps.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        kinds.host_names(),
        _ACCESS,
        "Names in the Host header that are served without keys, besides addresses and names of a local network.",
    )
    lock_runner_options: bool = _setting(
        False,
        kinds.flag(),
        _ACCESS,
        "Refuse options that load, unload or reload models (keep_alive, num_ctx, num_gpu, …) with 403.",
    )
    allow_cloud: bool = _setting(
        True, kinds.flag(), _ACCESS, "Let models through that run on ollama.com instead of on your machine."
    )
    fetch_images: bool = _setting(
        False,
        kinds.flag(),
        _ACCESS,
        "Fetch images that a message names by an http(s) URL; data: URLs always work.",
    )

    model_aliases: str | None = _setting(
        None,
        kinds.text(),
        _MODELS,
        "Other names for models, with defaults: gpt-4o=llama3.2,coder=qwen3:8b?num_ctx=32768&think=false.",
    )
    default_model: str | None = _setting(
        None, kinds.text(), _MODELS, "Model that answers when a request names none."
    )
    default_model_for_unknown: bool = _setting(
        False,
        kinds.flag(),
        _MODELS,
        "Let O2O_DEFAULT_MODEL answer for models that Ollama does not have, too.",
    )

    tiktoken_cache_dir: str | None = _setting(
        None,
        kinds.text(),
        _MODELS,
        "tiktoken's folder, whose vocabulary cl100k_base reads prompts and inputs that come as token arrays.",
        names=("TIKTOKEN_CACHE_DIR",),
    )

    num_ctx: int | None = _setting(
        None,
        kinds.whole(unit="tokens"),
        _LENGTHS,
        "Context window sent with every generation; unset leaves it to Ollama.",
    )
    max_num_ctx: int | None = _setting(
        None,
        kinds.whole(0, unit="tokens"),
        _LENGTHS,
        "How far a window may grow when a prompt does not fit: 0 never, unset up to 32768 from one of Ollama's "
        "automatic sizes.",
    )
    default_max_tokens: int | None = _setting(
        None,
        kinds.whole(unit="tokens"),
        _LENGTHS,
        "Longest answer when a request does not say; unset leaves it to the model.",
    )
    max_tokens: int | None = _setting(
        None,
        kinds.whole(unit="tokens"),
        _LENGTHS,
        "Longest answer that any request gets, whatever it asks for.",
    )
    completions_max_tokens: int = _setting(
        16,
        kinds.whole(unit="tokens"),
        _LENGTHS,
        "Longest answer of /v1/completions when a request does not say.",
    )
    truncate: bool = _setting(
        False,
        kinds.flag(),
        _LENGTHS,
        "Let Ollama cut prompts that do not fit, silently, instead of refusing them.",
    )
    embed_truncate: bool = _setting(
        False, kinds.flag(), _LENGTHS, "Let Ollama cut inputs of embeddings that do not fit, silently."
    )

    strict: bool = _setting(
        False,
        kinds.flag(),
        _ANSWERS,
        "Refuse parameters that have no effect with 400, instead of listing them in x-o2o-ignored.",
    )
    reasoning: str = _setting(
        "both",
        kinds.choice("both", "reasoning_content", "reasoning", "tags", "hide"),
        _ANSWERS,
        "Where a model's thoughts go: a field of the message, both, into the content in think tags, or nowhere.",
    )
    merge_roles: str = _setting(
        "auto",
        kinds.choice("auto", "always", "never"),
        _ANSWERS,
        "When to join neighbouring messages of one role: auto does it for models whose template insists.",
    )
    completions_template: bool = _setting(
        False,
        kinds.flag(),
        _ANSWERS,
        "Put prompts of /v1/completions into the model's chat template; a request says so itself with raw.",
    )
    logit_bias: str = _setting(
        "error",
        kinds.choice("error", "ignore"),
        _ANSWERS,
        "What to do with logit_bias, which Ollama does not have: refuse it, or list it in x-o2o-ignored.",
    )
    tools_fallback: str = _setting(
        "error",
        kinds.choice("error", "prompt"),
        _ANSWERS,
        "What to do with tools for a model that has none: refuse them, or describe them in the prompt.",
    )
    tool_rescue: bool = _setting(
        True, kinds.flag(), _ANSWERS, "Turn tool calls that a model wrote as plain text into real ones."
    )
    timings: bool = _setting(False, kinds.flag(), _ANSWERS, "Add Ollama's durations to answers as timings.")

    connect_timeout: float = _setting(
        5.0, kinds.seconds(), _TIME, "How long a connection to Ollama may take."
    )
    first_byte_timeout: float = _setting(
        600.0,
        kinds.seconds(),
        _TIME,
        "How long Ollama may be silent before its first line: queue, load and prompt.",
    )
    stall_timeout: float = _setting(
        300.0, kinds.seconds(), _TIME, "How long Ollama may be silent between two lines."
    )
    deadline: float = _setting(3600.0, kinds.seconds(), _TIME, "How long a whole request may take.")
    header_timeout: float = _setting(
        10.0,
        kinds.seconds(),
        _TIME,
        "How long a caller may take for its headers, and be idle between requests.",
    )
    body_timeout: float = _setting(30.0, kinds.seconds(), _TIME, "How long a caller may take for its body.")
    write_timeout: float = _setting(
        60.0, kinds.seconds(), _TIME, "How long a caller may accept no byte of its answer."
    )
    heartbeat_after: float = _setting(
        10.0,
        kinds.seconds(),
        _TIME,
        "Silence after which a stream starts with a heartbeat, and so with status 200.",
    )
    heartbeat_interval: float = _setting(
        10.0, kinds.seconds(), _TIME, "Silence after which a running stream gets another heartbeat."
    )
    grace: float = _setting(
        30.0,
        kinds.seconds(),
        _TIME,
        "How long a stopping server lets requests finish; streams end 5 seconds before.",
    )

    max_body_bytes: int = _setting(
        67108864, kinds.whole(unit="bytes"), _LIMITS, "Largest request body, chunked ones included."
    )
    max_in_flight: int = _setting(
        1000, kinds.whole(1, 100_000), _LIMITS, "Requests that one worker process serves at the same time."
    )
    max_n: int = _setting(
        16, kinds.whole(1, 128), _LIMITS, "Most answers that one request may ask for with n."
    )
    log_level: str = _setting(
        "info", kinds.choice("debug", "info", "warning", "error"), _LIMITS, "Least level that is logged."
    )

    def __repr__(self) -> str:
        changed = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                shown = "***" if entry.metadata["kind"].secret else repr(value)
                changed.append(f"{entry.name}={shown}")
        return f"Settings({', '.join(changed)})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings that `environ` describes; what is empty or absent keeps its default.

        Raises ConfigError with every problem at once.
        """
        problems = list(_unknown(environ))
        values: dict[str, Any] = {}
        for entry in fields(cls):
            for name in _names(entry):
                raw = environ.get(name, "").strip()
                if not raw:
                    continue
                kind = _kind(entry, name)
                try:
                    values[entry.name] = kind.read(raw)
                except ValueError as error:
                    # The text of a secret has no place in a log.
                    problems.append(f"{name}{'' if kind.secret else f'={_shorten(raw)}'} {error}.")
                break
        settings = cls(**values)
        problems.extend(settings._contradictions(environ))
        if problems:
            raise ConfigError(problems)
        return settings

    def _contradictions(self, environ: Mapping[str, str]) -> Iterator[str]:
        # A key that is set but unreadable has its own line already.
        if self.require_keys and not self.api_keys and not environ.get("O2O_API_KEYS", "").strip(" ,"):
            yield "O2O_REQUIRE_KEYS is true, but O2O_API_KEYS has no key."
        if self.default_model_for_unknown and not self.default_model:
            yield "O2O_DEFAULT_MODEL_FOR_UNKNOWN is true, but O2O_DEFAULT_MODEL names no model."


def describe() -> Iterator[Described]:
    """Yield every variable that is read, in the order of the documentation."""
    for entry in fields(Settings):
        first, *others = _names(entry)
        doc, section = entry.metadata["doc"], entry.metadata["section"]
        default = "" if entry.default is None else entry.metadata["kind"].show(entry.default)
        yield Described(first, default, doc, entry.metadata["kind"].name, section)
        for name in others:
            yield Described(
                name, default, f"Stands in for {first} where that is unset.", _kind(entry, name).name, section
            )


def env_example() -> str:
    """Return the text of `.env.example`: every variable commented out, with its default."""
    lines = [
        "# Copy this file to .env and take the # away in front of what you change.",
        "# A variable that is really set beats the one in .env. An empty value counts as unset.",
    ]
    section = ""
    for entry in describe():
        if entry.section != section:
            section = entry.section
            lines += ["", f"## {section}"]
        lines += ["", f"# {entry.doc} ({entry.kind})", f"# {entry.name}={entry.default}"]
    return "\n".join(lines) + "\n"


def looks_like_triplet(host: str) -> bool:
    """Tell whether `host` has the shape of a compiler's triplet, which conda exports as HOST."""
    return _TRIPLET.fullmatch(host) is not None


def _names(entry: Any) -> tuple[str, ...]:
    return entry.metadata["names"] or (f"O2O_{entry.name.upper()}",)


def _kind(entry: Any, name: str) -> Kind:
    return kinds.ollama_host() if name == "OLLAMA_HOST" else entry.metadata["kind"]


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    # Compared without the prefix, which would make any two of them look alike.
    names = {entry.name for entry in describe()}
    known = {name.removeprefix("O2O_"): name for name in sorted(names)}
    for name in sorted(environ):
        if not name.startswith("O2O_") or name in names or _INJECTED.fullmatch(name):
            continue
        near = difflib.get_close_matches(name.removeprefix("O2O_"), known, n=1)
        yield f"{name} is not a setting of o2o" + (f"; did you mean {known[near[0]]}?" if near else ".")


def _shorten(raw: str) -> str:
    raw = _PASSWORD.sub("//***@", raw)
    return ascii(raw if len(raw) <= 60 else raw[:59] + "…")[1:-1]
