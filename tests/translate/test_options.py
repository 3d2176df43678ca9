from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest, Forbidden
from o2o.translate.facts import Facts
from o2o.translate.ollama_options import OPTIONS
from o2o.translate.options import Sampling, needs_facts, runner, sampling
from o2o.translate.policy import Policy


def translated(
    body: dict[str, Any],
    policy: Policy | None = None,
    defaults: dict[str, Any] | None = None,
    facts: Facts | None = None,
    **others: Any,
) -> Sampling:
    return sampling(body, policy=policy or Policy(), defaults=defaults or {}, facts=facts, **others)


def options(body: dict[str, Any], policy: Policy | None = None, **others: Any) -> dict[str, Any]:
    return translated(body, policy, **others).options


def test_nothing_is_sent_that_nobody_asked_for() -> None:
    assert translated({"model": "m", "messages": []}) == Sampling()


def test_null_is_as_good_as_absent() -> None:
    nulls: dict[str, Any] = dict.fromkeys(
        [*OPTIONS, "max_tokens", "keep_alive", "ttl", "logit_bias", "mirostat"]
    )
    assert translated(nulls) == Sampling()
    assert translated({"options": None}) == Sampling()
    assert translated({"options": {"top_k": None, "mirostat": None}}) == Sampling()


def test_openais_parameters_have_their_names_in_ollama() -> None:
    body = {
        "temperature": 0,
        "top_p": 0.5,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "seed": 7,
        "stop": "END",
        "max_tokens": 5,
    }
    assert options(body) == {
        "temperature": 0,
        "top_p": 0.5,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "seed": 7,
        "stop": ["END"],
        "num_predict": 5,
    }


def test_unofficial_parameters_are_taken_from_the_top_of_the_body() -> None:
    extras = {
        "top_k": 5,
        "min_p": 0.1,
        "typical_p": 0.9,
        "repeat_last_n": 8,
        "num_ctx": 8192,
        "num_thread": 2,
    }
    assert options(extras) == extras
    assert options({"repetition_penalty": 1.2}) == {"repeat_penalty": 1.2}
    assert options({"repetition_penalty": 1.2, "repeat_penalty": 1.1}) == {"repeat_penalty": 1.1}


def test_the_top_of_the_body_beats_options_and_those_beat_an_alias() -> None:
    body = {"temperature": 0.1, "options": {"temperature": 0.2, "top_k": 2}}
    defaults = {"temperature": 0.3, "top_k": 3, "min_p": 0.3, "think": False}
    assert options(body, defaults=defaults) == {"temperature": 0.1, "top_k": 2, "min_p": 0.3}


def test_max_completion_tokens_beats_max_tokens_and_that_num_predict() -> None:
    body = {"max_completion_tokens": 3, "max_tokens": 4, "num_predict": 5, "options": {"num_predict": 6}}
    assert translated(body).limit == 3
    del body["max_completion_tokens"]
    assert translated(body).limit == 4
    del body["max_tokens"]
    assert translated(body).limit == 5
    del body["num_predict"]
    assert options(body) == {"num_predict": 6}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "num_predict"])
def test_minus_one_is_no_limit_and_zero_is_refused(name: str) -> None:
    unlimited = translated({name: -1})
    assert (unlimited.options, unlimited.limit) == ({"num_predict": -1}, None)
    with pytest.raises(BadRequest, match="Expected a value >= 1, but got 0") as caught:
        translated({name: 0})
    assert (caught.value.code, caught.value.param) == ("integer_below_min_value", name)


def test_zero_tokens_are_one_for_ollama_where_an_endpoint_allows_them() -> None:
    assert translated({"max_tokens": 0}, zero_limit=True) == Sampling({"num_predict": 1}, limit=0)
    assert translated({"max_tokens": 3}, zero_limit=True).limit == 3
    assert translated({}, zero_limit=True) == Sampling()


@pytest.mark.parametrize(
    ("body", "policy", "limit"),
    [
        ({}, Policy(default_max_tokens=50), 50),
        ({}, Policy(max_tokens=40), 40),
        ({}, Policy(default_max_tokens=50, max_tokens=40), 40),
        ({"max_tokens": 30}, Policy(default_max_tokens=50, max_tokens=40), 30),
        ({"max_tokens": 60}, Policy(default_max_tokens=50, max_tokens=40), 40),
        ({"max_tokens": -1}, Policy(default_max_tokens=50, max_tokens=40), 40),
        ({"max_tokens": -1}, Policy(default_max_tokens=50), None),
    ],
)
def test_the_operator_sets_a_default_and_a_ceiling(
    body: dict[str, Any], policy: Policy, limit: int | None
) -> None:
    assert translated(body, policy).limit == limit


def test_an_endpoint_can_have_a_default_limit_of_its_own() -> None:
    assert translated({}, Policy(default_max_tokens=50), default_limit=16).limit == 16
    assert translated({"max_tokens": 3}, default_limit=16).limit == 3
    assert translated({}, defaults={"num_predict": 8}, default_limit=16).limit == 8


@pytest.mark.parametrize(
    ("seed", "sent"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, 0), (-1, 2**31 - 1), (2**63 + 5, 5)]
)
def test_openais_seed_is_cut_to_31_bits(seed: int, sent: int) -> None:
    assert options({"seed": seed}) == {"seed": sent}


def test_minus_one_in_options_stays_ollamas_word_for_random() -> None:
    assert options({"options": {"seed": -1}}) == {"seed": -1}


FACTS = Facts(stops=("<|end|>", "END"))


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"stop": "a"}, ["a", "<|end|>", "END"]),
        ({"stop": ["END", "a", "a", ""]}, ["END", "a", "<|end|>"]),
        ({"options": {"stop": "a"}}, ["a", "<|end|>", "END"]),
        ({"stop": ["a"], "options": {"stop": ["b"]}}, ["a", "<|end|>", "END"]),
    ],
)
def test_stop_strings_are_added_to_the_models_own(body: dict[str, Any], sent: list[str]) -> None:
    assert options(body, facts=FACTS) == {"stop": sent}


@pytest.mark.parametrize("stop", ["", [], [""]])
def test_empty_stop_strings_leave_the_model_its_own(stop: Any) -> None:
    assert options({"stop": stop}, facts=FACTS) == {}


def test_stop_strings_of_an_alias_are_added_too_and_without_facts_travel_alone() -> None:
    assert options({}, defaults={"stop": ["x"]}, facts=FACTS)["stop"] == ["x", "<|end|>", "END"]
    assert options({"stop": "y"}, defaults={"stop": ["x"]})["stop"] == ["y"]


def test_the_window_comes_from_the_first_who_says_something() -> None:
    everything: dict[str, Any] = {"num_ctx": 1, "options": {"num_ctx": 2}}
    policy, defaults = Policy(num_ctx=5), {"num_ctx": 4}

    def window() -> int:
        found: int = options(everything, policy, defaults=defaults, num_ctx_header=header)["num_ctx"]
        return found

    header: int | None = 3
    assert window() == 1
    del everything["num_ctx"]
    assert window() == 2
    del everything["options"]
    assert window() == 3
    header = None
    assert window() == 4
    del defaults["num_ctx"]
    assert window() == 5


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"keep_alive": "10m"}, "10m"),
        ({"keep_alive": "1h30m"}, "1h30m"),
        ({"keep_alive": "-1m"}, "-1m"),
        ({"keep_alive": ".5h"}, ".5h"),
        ({"keep_alive": "300"}, 300),
        ({"keep_alive": " -1 "}, -1),
        ({"keep_alive": "1.5"}, 1.5),
        ({"keep_alive": 0}, 0),
        ({"ttl": 60}, 60),
        ({"ttl": 60, "keep_alive": "5m"}, "5m"),
    ],
)
def test_keep_alive_is_a_number_or_a_duration(body: dict[str, Any], sent: float | str) -> None:
    assert translated(body, defaults={"keep_alive": "1s"}).keep_alive == sent


def test_an_alias_may_say_how_long_its_model_stays() -> None:
    assert translated({}, defaults={"keep_alive": "-1"}).keep_alive == -1


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("soon", "invalid_value"),
        ("5", None),
        ("5 m", "invalid_value"),
        (True, "invalid_type"),
        ([], "invalid_type"),
    ],
)
def test_other_keep_alives_are_refused(value: Any, code: str | None) -> None:
    if code is None:
        assert translated({"keep_alive": value}).keep_alive == 5
        return
    with pytest.raises(BadRequest) as caught:
        translated({"keep_alive": value})
    assert (caught.value.code, caught.value.param) == (code, "keep_alive")


def test_options_that_ollama_does_not_know_are_listed_and_not_sent() -> None:
    body = {"mirostat": 1, "tfs_z": 1, "options": {"penalize_newline": True, "Top_K": 1, "top_k": 2}}
    done = translated(body)
    assert done.options == {"top_k": 2}
    assert done.ignored == ["options.penalize_newline", "options.Top_K", "mirostat", "tfs_z"]


def test_options_must_be_an_object() -> None:
    with pytest.raises(BadRequest) as caught:
        translated({"options": []})
    assert (caught.value.code, caught.value.param) == ("invalid_type", "options")


def test_a_wrong_value_is_told_with_its_place() -> None:
    for body, param in (
        ({"options": {"top_k": "x"}}, "options.top_k"),
        ({"repetition_penalty": "x"}, "repetition_penalty"),
    ):
        with pytest.raises(BadRequest) as caught:
            translated(body)
        assert caught.value.param == param


LOCKED = Policy(lock_runner_options=True, num_ctx=4096)


@pytest.mark.parametrize(
    ("body", "header", "param"),
    [
        ({"keep_alive": 0}, None, "keep_alive"),
        ({"ttl": 5}, None, "ttl"),
        ({"num_ctx": 5}, None, "num_ctx"),
        ({"options": {"num_gpu": 0}}, None, "options.num_gpu"),
        ({"options": {"num_thread": 64}}, None, "options.num_thread"),
        ({"num_batch": 1}, None, "num_batch"),
        ({"main_gpu": 1}, None, "main_gpu"),
        ({"use_mmap": False}, None, "use_mmap"),
        ({}, 8192, "num_ctx"),
    ],
)
def test_callers_cannot_change_how_models_are_loaded_where_that_is_locked(
    body: dict[str, Any], header: int | None, param: str
) -> None:
    for translate in (sampling_of, runner_of):
        with pytest.raises(Forbidden) as caught:
            translate(body, header)
        assert (caught.value.http_status, caught.value.param) == (403, param)


def sampling_of(body: dict[str, Any], header: int | None) -> Sampling:
    return translated(body, LOCKED, num_ctx_header=header)


def runner_of(body: dict[str, Any], header: int | None) -> Sampling:
    return runner(body, policy=LOCKED, defaults={}, num_ctx_header=header)


def test_a_lock_leaves_sampling_to_callers_and_everything_to_the_operator() -> None:
    done = translated({"temperature": 1}, LOCKED, {"keep_alive": "1h", "num_gpu": 1})
    assert done.options == {"temperature": 1, "num_gpu": 1, "num_ctx": 4096}
    assert done.keep_alive == "1h"


@pytest.mark.parametrize("bias", [None, {}, {"50256": 0}, {"1": 0.0, "2": 0}])
def test_a_logit_bias_without_effect_is_fine(bias: Any) -> None:
    assert translated({"logit_bias": bias}) == Sampling()


def test_a_logit_bias_is_refused_or_listed() -> None:
    with pytest.raises(BadRequest) as caught:
        translated({"logit_bias": {"50256": -100}})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "logit_bias")
    assert translated({"logit_bias": {"50256": -100}}, Policy(logit_bias="ignore")).ignored == ["logit_bias"]


def test_only_what_concerns_the_loaded_model_goes_to_an_endpoint_that_generates_nothing() -> None:
    body = {"num_ctx": 512, "temperature": 1, "options": {"num_gpu": 0, "top_k": 5}, "keep_alive": "1m"}
    done = runner(body, policy=Policy(num_ctx=9), defaults={"num_thread": 1, "top_p": 1})
    assert done.options == {"num_thread": 1, "num_gpu": 0, "num_ctx": 512}
    assert (done.keep_alive, done.ignored) == ("1m", ["options.top_k"])
    assert runner({}, policy=Policy(num_ctx=9), defaults={}) == Sampling()
    assert runner({}, policy=Policy(), defaults={}, num_ctx_header=7).options == {"num_ctx": 7}
    assert runner(body, policy=Policy(), defaults={}, num_ctx_header=7).options["num_ctx"] == 512


@pytest.mark.parametrize(
    ("body", "defaults"),
    [
        ({"stop": "x"}, None),
        ({"options": {"stop": ["x"]}}, None),
        ({"reasoning_effort": "low"}, None),
        ({"think": False}, None),
        ({"guided_regex": "[a-z]"}, None),
        ({"response_format": {"type": "json_object"}}, None),
        ({"tools": [{}]}, None),
        ({"messages": [{"content": [{"type": "text"}, {"type": "input_audio"}]}]}, None),
        ({"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "x"}]}, None),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, None),
        ({}, {"think": False}),
        ({}, {"stop": ["x"]}),
    ],
)
def test_facts_are_asked_for_where_they_matter(body: dict[str, Any], defaults: dict[str, Any] | None) -> None:
    assert needs_facts(body, defaults)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stop": None, "tools": [], "temperature": 1, "response_format": {"type": "text"}},
        {"messages": [{"content": "hi"}, {"content": [{"type": "text"}]}, {"content": None}, 5]},
        {"options": {"stop": []}},
    ],
)
def test_plain_requests_do_without_facts(body: dict[str, Any]) -> None:
    assert not needs_facts(body, {"num_ctx": 5})
