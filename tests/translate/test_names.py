from __future__ import annotations

import pytest

from o2o.translate.names import canonical, is_cloud, namespace


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("Llama3.2", "llama3.2"),
        (" llama3.2 ", "llama3.2"),
        ("registry.ollama.ai/library/llama3.2", "llama3.2"),
        ("library/llama3.2", "llama3.2:latest"),
        ("hf.co/X/Y:Q4", "hf.co/x/y:q4"),
        ("host:5000/team/model", "host:5000/team/model:latest"),
    ],
)
def test_two_spellings_of_one_model_are_equal(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [("qwen3:8b", "qwen3:4b"), ("team/qwen3", "qwen3")])
def test_different_models_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("name", "owner"),
    [("llama3.2", "library"), ("team/gemma:test", "team"), ("hf.co/x/y:Q4", "x")],
)
def test_the_namespace_is_the_publisher(name: str, owner: str) -> None:
    assert namespace(name) == owner


@pytest.mark.parametrize("name", ["gpt-oss:20b-cloud", "glm:cloud", "GLM:Cloud", "kimi-cloud"])
def test_cloud_names_are_known_by_their_end(name: str) -> None:
    assert is_cloud(name)


@pytest.mark.parametrize("name", ["llama3.2", "cloud:8b", "gpt-oss:20b-cloud:local"])
def test_other_names_are_not_of_the_cloud(name: str) -> None:
    assert not is_cloud(name)
