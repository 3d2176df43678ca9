from __future__ import annotations

import pytest

from o2o.practice import models
from o2o.practice.faults import Fault


@pytest.mark.parametrize(
    "name",
    [
        "practice",
        "PRACTICE:Latest",
        "practice:latest",
        "practice:local",
        "library/practice",
        "registry.ollama.ai/library/practice:latest",
    ],
)
def test_a_model_has_many_names(name: str) -> None:
    found = models.find(name)
    assert found is not None
    assert found.name == "practice:latest"


@pytest.mark.parametrize("name", ["practice:8b", "other", "team/practice", "hf.co/x/y:Q4"])
def test_other_models_are_not_there(name: str) -> None:
    assert models.find(name) is None


@pytest.mark.parametrize(
    ("name", "status"), [("a b", 400), ("a//b", 400), ("..", 400), ("x:cloud:local", 400), ("x:cloud", 403)]
)
def test_some_names_are_refused(name: str, status: int) -> None:
    with pytest.raises(Fault) as caught:
        models.find(name)
    assert caught.value.status == status


def test_every_capability_is_had_by_one_and_lacked_by_another() -> None:
    for capability in ("completion", "tools", "insert", "thinking", "vision", "embedding"):
        assert {model.can(capability) for model in models.MODELS} == {True, False}


def test_show_and_tags_agree() -> None:
    for model, tag in zip(models.MODELS, models.tags()["models"], strict=True):
        shown = models.show(model)
        assert tag["capabilities"] == shown["capabilities"]
        lengths = {name: tag["details"][name] for name in ("context_length", "embedding_length")}
        family = shown["model_info"]["general.architecture"]
        assert lengths == {name: shown["model_info"][f"{family}.{name}"] for name in lengths}
        assert len(tag["digest"]) == 64
