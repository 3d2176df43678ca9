"""The settings: what is read, from where, and how mistakes are told."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from o2o.config import ConfigError, Settings, describe, env_example, looks_like_triplet


def problems_of(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env(environ)
    return caught.value.problems


def test_an_empty_environment_gives_the_published_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.ollama_api_base_url == "http://localhost:11434"
    assert (settings.host, settings.port, settings.web_concurrency) == ("0.0.0.0", 8000, 2)
    assert (settings.connect_timeout, settings.first_byte_timeout, settings.stall_timeout) == (5, 600, 300)
    assert (settings.deadline, settings.body_timeout, settings.header_timeout) == (3600, 30, 10)
    assert (settings.write_timeout, settings.grace) == (60, 30)
    assert (settings.heartbeat_after, settings.heartbeat_interval) == (10, 10)
    assert (settings.max_body_bytes, settings.max_in_flight, settings.max_n) == (67108864, 1000, 16)
    assert (settings.api_keys, settings.num_ctx, settings.max_num_ctx) == ((), None, None)
    assert (settings.reasoning, settings.merge_roles, settings.logit_bias) == ("both", "auto", "error")
    assert (settings.allow_cloud, settings.tool_rescue, settings.strict) == (True, True, False)
    assert settings.completions_max_tokens == 16


def test_every_default_is_what_its_own_text_reads_as() -> None:
    texts = {entry.name: entry.default for entry in describe() if entry.default}
    texts.pop("OLLAMA_HOST")
    assert Settings.from_env(texts) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]  # that it is refused is what is tested


def test_an_empty_or_blank_value_counts_as_unset() -> None:
    assert Settings.from_env({"O2O_NUM_CTX": "", "PORT": "  ", "O2O_API_KEYS": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("O2O_API_KEYS", " one, two,,one ", "api_keys", ("one", "two")),
        ("O2O_CORS_ORIGINS", "https://Chat.example.com/", "cors_origins", ("https://chat.example.com",)),
        ("O2O_ALLOWED_HOSTS", "API.example.com,[::1]", "allowed_hosts", ("api.example.com", "[::1]")),
        ("O2O_STALL_TIMEOUT", "0.25", "stall_timeout", 0.25),
        ("O2O_STALL_TIMEOUT", ".5", "stall_timeout", 0.5),
        ("O2O_GRACE", "7.", "grace", 7.0),
        ("O2O_MAX_NUM_CTX", "0", "max_num_ctx", 0),
        ("O2O_NUM_CTX", "32768", "num_ctx", 32768),
        ("PORT", "0", "port", 0),
        ("O2O_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("O2O_REASONING", "Tags", "reasoning", "tags"),
        ("O2O_MERGE_ROLES", "never", "merge_roles", "never"),
        ("O2O_MODEL_ALIASES", "a=b?num_ctx=1,c=d", "model_aliases", "a=b?num_ctx=1,c=d"),
        ("O2O_HOST", "[::1]", "host", "::1"),
        (
            "OLLAMA_API_BASE_URL",
            "https://ollama.example.com/gpu/",
            "ollama_api_base_url",
            "https://ollama.example.com/gpu",
        ),
        ("OLLAMA_API_BASE_URL", "ollama:11435", "ollama_api_base_url", "http://ollama:11435"),
    ],
)
def test_a_text_is_read_as_its_kind(name: str, text: str, field: str, value: Any) -> None:
    assert getattr(Settings.from_env({name: text}), field) == value


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "True", "YES"])
def test_true_has_four_spellings(text: str) -> None:
    assert Settings.from_env({"O2O_STRICT": text}).strict is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off", "False"])
def test_false_has_four_spellings(text: str) -> None:
    assert Settings.from_env({"O2O_TOOL_RESCUE": text}).tool_rescue is False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("O2O_STRICT", "maybe"),
        ("O2O_DEADLINE", "0"),
        ("O2O_DEADLINE", "-1"),
        ("O2O_DEADLINE", "nan"),
        ("O2O_DEADLINE", "inf"),
        ("O2O_DEADLINE", "1e3"),
        ("O2O_DEADLINE", "30s"),
        ("O2O_DEADLINE", "999999999"),
        ("O2O_DEADLINE", "٣"),
        ("O2O_NUM_CTX", "0"),
        ("O2O_NUM_CTX", "4k"),
        ("O2O_NUM_CTX", "1" * 5000),
        ("O2O_MAX_NUM_CTX", "-1"),
        ("O2O_MAX_N", "129"),
        ("O2O_MAX_BODY_BYTES", "64MiB"),
        ("PORT", "65536"),
        ("PORT", "tcp://10.0.0.1:80"),
        ("WEB_CONCURRENCY", "0"),
        ("O2O_REASONING", "all"),
        ("O2O_MERGE_ROLES", "sometimes"),
        ("O2O_LOG_LEVEL", "loud"),
        ("O2O_HOST", "http://0.0.0.0"),
        ("O2O_HOST", "0.0.0.0:8000"),
        ("O2O_CORS_ORIGINS", "chat.example.com"),
        ("O2O_ALLOWED_HOSTS", "https://api.example.com"),
        ("O2O_API_KEYS", "schlüssel"),
        ("O2O_API_KEYS", "two words"),
        ("O2O_UPSTREAM_API_KEY", "a b"),
        ("O2O_DEFAULT_MODEL", "a\x00b"),
        ("OLLAMA_API_BASE_URL", "ftp://localhost"),
        ("OLLAMA_API_BASE_URL", "http://"),
        ("OLLAMA_API_BASE_URL", "http://localhost:99999"),
        ("OLLAMA_API_BASE_URL", "http://[::1"),
        ("OLLAMA_API_BASE_URL", "http://localhost:11434/?a=b"),
        ("OLLAMA_API_BASE_URL", "http://localhost:11434/v1"),
        ("OLLAMA_API_BASE_URL", "http://localhost:11434/api/"),
        ("OLLAMA_HOST", "host:port"),
        ("OLLAMA_HOST", "ssh://host"),
    ],
)
def test_a_text_that_cannot_be_meant_is_a_problem_that_names_the_setting(name: str, text: str) -> None:
    (problem,) = problems_of(**{name: text})
    assert problem.startswith(name)
    assert problem.endswith(".")


def test_all_problems_are_told_at_once() -> None:
    problems = problems_of(O2O_GRACE="soon", PORT="x", O2O_GRASE="1", O2O_REQUIRE_KEYS="true", O2O_MAX_N="0")
    assert len(problems) == 5
    assert str(ConfigError(problems)) == "\n".join(problems)


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    assert problems_of(O2O_DEADLIN="60") == [
        "O2O_DEADLIN is not a setting of o2o; did you mean O2O_DEADLINE?"
    ]
    assert problems_of(O2O_XYZ="1") == ["O2O_XYZ is not a setting of o2o."]


def test_names_of_others_are_none_of_our_business() -> None:
    assert (
        Settings.from_env({"OLLAMA_KEEP_ALIVE": "5m", "HOME": "/", "o2o_x": "1", "XO2O_Y": "1"}) == Settings()
    )


def test_names_that_kubernetes_injects_are_passed_over() -> None:
    injected = {
        "O2O_PORT": "tcp://10.0.0.7:8000",
        "O2O_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "O2O_PORT_8000_TCP_ADDR": "10.0.0.7",
        "O2O_SERVICE_HOST": "10.0.0.7",
        "O2O_SERVICE_PORT": "8000",
        "O2O_SERVICE_PORT_HTTP": "8000",
    }
    assert Settings.from_env(injected) == Settings()


def test_o2o_host_beats_host() -> None:
    assert Settings.from_env({"HOST": "10.0.0.1"}).host == "10.0.0.1"
    assert Settings.from_env({"HOST": "10.0.0.1", "O2O_HOST": "127.0.0.1"}).host == "127.0.0.1"
    assert Settings.from_env({"HOST": "http://no", "O2O_HOST": "127.0.0.1"}).host == "127.0.0.1"


@pytest.mark.parametrize(
    "host", ["x86_64-conda-linux-gnu", "aarch64-conda-linux-gnu", "x86_64-apple-darwin13.4.0"]
)
def test_a_compiler_triplet_is_recognised(host: str) -> None:
    assert looks_like_triplet(host)
    assert Settings.from_env({"HOST": host}).host == host


@pytest.mark.parametrize(
    "host", ["localhost", "0.0.0.0", "::1", "my-host", "gpu.example.com", "a-b.example.com"]
)
def test_names_of_machines_are_no_triplets(host: str) -> None:
    assert not looks_like_triplet(host)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("gpu", "http://gpu:11434"),
        ("gpu:1234", "http://gpu:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("::", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("http://gpu:1234", "http://gpu:1234"),
        ("http://gpu:1234/", "http://gpu:1234"),
        ("http://0.0.0.0:1234", "http://127.0.0.1:1234"),
        # Ollama itself takes the scheme's own port here.
        ("http://gpu", "http://gpu"),
        ("https://ollama.example.com/gpu", "https://ollama.example.com/gpu"),
        (' "gpu:1234" ', "http://gpu:1234"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(text: str, url: str) -> None:
    assert Settings.from_env({"OLLAMA_HOST": text}).ollama_api_base_url == url


def test_the_base_url_beats_ollama_host() -> None:
    both = {"OLLAMA_API_BASE_URL": "http://one:1", "OLLAMA_HOST": "two:2"}
    assert Settings.from_env(both).ollama_api_base_url == "http://one:1"


def test_required_keys_have_to_be_there() -> None:
    assert problems_of(O2O_REQUIRE_KEYS="true") == ["O2O_REQUIRE_KEYS is true, but O2O_API_KEYS has no key."]
    assert problems_of(O2O_REQUIRE_KEYS="true", O2O_API_KEYS=" , ") != []
    assert Settings.from_env({"O2O_REQUIRE_KEYS": "true", "O2O_API_KEYS": "k"}).api_keys == ("k",)


def test_a_key_that_cannot_be_read_is_one_problem_not_two() -> None:
    assert len(problems_of(O2O_REQUIRE_KEYS="true", O2O_API_KEYS="ä")) == 1


def test_a_default_for_unknown_models_needs_a_default_model() -> None:
    assert len(problems_of(O2O_DEFAULT_MODEL_FOR_UNKNOWN="true")) == 1


def test_secrets_show_neither_in_the_settings_nor_in_problems() -> None:
    settings = Settings(api_keys=("sesame",), upstream_api_key="sesame", port=9)
    assert "sesame" not in repr(settings) + str(settings)
    assert repr(settings) == "Settings(upstream_api_key=***, port=9, api_keys=***)"
    problems = problems_of(
        O2O_API_KEYS="sesame open",
        O2O_UPSTREAM_API_KEY="sesame open",
        OLLAMA_API_BASE_URL="http://me:sesame@localhost:11434",
    )
    assert len(problems) == 3
    assert "sesame" not in "".join(problems)


def test_a_long_value_is_told_in_short() -> None:
    (problem,) = problems_of(O2O_GRACE="x\x1b" * 500)
    assert len(problem) < 250
    assert "\x1b" not in problem


def test_every_field_is_described_under_the_name_that_is_read() -> None:
    described = list(describe())
    names = [entry.name for entry in described]
    assert len(set(names)) == len(names)
    for entry in fields(Settings):
        assert f"O2O_{entry.name.upper()}" in names or entry.name.upper() in names
    assert {"HOST", "O2O_HOST", "PORT", "WEB_CONCURRENCY", "OLLAMA_HOST"} <= set(names)
    assert all(entry.doc.endswith(".") and entry.kind and entry.section for entry in described)


def test_the_example_file_sets_nothing_and_names_everything() -> None:
    text = env_example()
    assert all(line.startswith("#") for line in text.splitlines() if line)
    for entry in describe():
        assert f"\n# {entry.name}={entry.default}\n" in text
