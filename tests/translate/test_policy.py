from __future__ import annotations

import pytest

from o2o.errors import BadRequest, Forbidden
from o2o.translate.policy import Alias, Policy, alias_of, check_cloud, parse_aliases, resolve


def test_aliases_are_read_with_typed_defaults() -> None:
    text = "gpt-4o=llama3.2, coder=qwen3:8b?num_ctx=32768&think=false&temperature=0.2&keep_alive=10m,"
    assert parse_aliases(text) == {
        "gpt-4o": Alias("llama3.2", {}),
        "coder": Alias(
            "qwen3:8b", {"num_ctx": 32768, "think": False, "temperature": 0.2, "keep_alive": "10m"}
        ),
    }


def test_an_alias_and_its_target_may_have_any_name_of_ollama() -> None:
    aliases = parse_aliases("text-embedding-3-small@v1=hf.co/x/y:Q4_K_M,a/b:c=localhost:5000/team/m.1:t")
    assert {name: alias.target for name, alias in aliases.items()} == {
        "text-embedding-3-small@v1": "hf.co/x/y:Q4_K_M",
        "a/b:c": "localhost:5000/team/m.1:t",
    }


def test_defaults_may_be_percent_encoded_and_stop_repeated() -> None:
    alias = parse_aliases("a=b?stop=%2C&stop=x%26y&think=high&&keep_alive=-1")["a"]
    assert alias.defaults == {"stop": [",", "x&y"], "think": "high", "keep_alive": -1}


def test_no_aliases_is_no_mistake() -> None:
    assert parse_aliases(" , ") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("llama3.2", "'llama3.2' is no alias"),
        ("=llama3.2", "is no alias"),
        ("a=", "is no alias"),
        ("a=?think=false", "is no alias"),
        ("a?b=c", "is no alias"),
        ("a=b,a=c", "the alias 'a' is there twice"),
        ("a=b,A:latest=c", "is there twice"),
        ("a=b?num_ctx", "the default 'num_ctx' of the alias 'a' has no value"),
        ("a=b?top_k=1&top_k=2", "has the default 'top_k' twice"),
        ("a=b?num_ctxt=5", "did you mean num_ctx?"),
        ("a=b?xyzzy=5", "'xyzzy' is no default that the alias 'a' can have$"),
        ("a=b?num_ctx=big", "expected an integer, but got a string"),
        ("a=b?num_ctx=0", "below minimum value"),
        ("a=b?temperature=nan", "expected a number, but got a string"),
        ("a=b?temperature=-inf", "expected a number, but got a string"),
        ("a=b?num_ctx=1_000", "expected an integer, but got a string"),
    ],
)
def test_a_mistake_in_the_aliases_is_told_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_aliases(text)


def policy(aliases: str = "", **others: object) -> Policy:
    return Policy(aliases=parse_aliases(aliases), **others)  # type: ignore[arg-type]  # the cases vary


def test_a_model_is_asked_for_by_its_own_name() -> None:
    assert resolve("qwen3:8b", Policy()) == ("qwen3:8b", "qwen3:8b", {})


def test_an_alias_leads_to_its_target_once_and_answers_under_its_own_name() -> None:
    chosen = policy("gpt-4o=llama3.2?top_k=5,llama3.2=llama3.2?top_k=9")
    assert resolve("gpt-4o", chosen) == ("gpt-4o", "llama3.2", {"top_k": 5})
    assert resolve("llama3.2", chosen) == ("llama3.2", "llama3.2", {"top_k": 9})


def test_an_alias_is_found_in_any_spelling_of_its_name() -> None:
    chosen = policy("Coder=qwen3:8b")
    assert resolve("coder:latest", chosen).target == "qwen3:8b"
    assert alias_of("other", chosen) is None


@pytest.mark.parametrize("prefix", ["openai/", "ollama/", "OpenAI/"])
def test_the_prefix_of_a_router_is_dropped(prefix: str) -> None:
    chosen = policy("gpt-4o=llama3.2")
    assert resolve(prefix + "qwen3", chosen) == (prefix + "qwen3", "qwen3", {})
    assert resolve(prefix + "gpt-4o", chosen).target == "llama3.2"


def test_a_prefix_that_belongs_to_an_alias_or_is_the_whole_name_stays() -> None:
    assert resolve("openai/gpt-4o", policy("openai/gpt-4o=qwen3,gpt-4o=llama3.2")).target == "qwen3"
    assert resolve("ollama/", Policy()).target == "ollama/"
    assert resolve("team/qwen3", Policy()).target == "team/qwen3"


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_model_is_the_default_model(missing: str | None) -> None:
    assert resolve(missing, policy("a=b", default_model="a")) == ("a", "b", {})
    with pytest.raises(BadRequest) as caught:
        resolve(missing, Policy())
    assert (caught.value.code, caught.value.param) == ("missing_required_parameter", "model")


def test_an_unknown_model_is_the_default_model_where_that_is_wanted() -> None:
    wanted = policy("a=b?top_k=1", default_model="a", default_model_for_unknown=True)
    assert resolve("nosuch", wanted, known=lambda name: name == "b") == ("nosuch", "b", {"top_k": 1})
    assert resolve("b", wanted, known=lambda name: name == "b").target == "b"
    assert resolve("nosuch", wanted).target == "nosuch"
    not_wanted = policy(default_model="b")
    assert resolve("nosuch", not_wanted, known=lambda name: False).target == "nosuch"


def test_models_of_the_cloud_are_refused_where_they_are_turned_off() -> None:
    assert resolve("glm:cloud", Policy()).target == "glm:cloud"
    local = policy("a=glm:cloud", allow_cloud=False)
    for name in ("glm:cloud", "a"):
        with pytest.raises(Forbidden) as caught:
            resolve(name, local)
        assert caught.value.param == "model"
    with pytest.raises(Forbidden):
        check_cloud("stub", local, remote=True)
    check_cloud("llama3.2", local)
