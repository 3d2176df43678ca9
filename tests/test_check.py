"""`o2o check` against a fake Ollama that has one thing wrong at a time."""

from __future__ import annotations

import pytest

from o2o.check import ROOMY, Finding, Report, examine
from o2o.config import Settings
from o2o.survey import Known
from o2o.upstream.client import HTTPUpstream
from tests.ollama import FakeOllama, error, stream, whole


def findings(ollama: FakeOllama, settings: Settings | None = None) -> dict[str, Finding]:
    report = examine(settings or Settings(), HTTPUpstream(ollama.url))
    return {finding.topic: finding for finding in report.findings}


def test_an_ollama_in_order_is_well() -> None:
    with FakeOllama() as ollama:
        report = examine(Settings(api_keys=("k",)), HTTPUpstream(ollama.url))
    assert report.well
    levels = {finding.topic: finding.level for finding in report.findings}
    assert levels["settings"] == levels["ollama"] == levels["models"] == levels["chat"] == "ok"
    assert levels["embeddings"] == "ok"
    assert report.as_json()["ok"] is True
    assert {model["name"] for model in report.as_json()["models"]} == {model.name for model in report.models}
    assert report.as_text().endswith("All is well.")


def test_no_keys_are_worth_a_note() -> None:
    with FakeOllama() as ollama:
        assert findings(ollama)["settings"].level == "note"


def test_no_ollama_is_a_problem_with_a_remedy() -> None:
    with FakeOllama() as ollama:
        url = ollama.url
    report = examine(Settings(ollama_api_base_url=url), HTTPUpstream(url))
    assert not report.well
    assert [finding.topic for finding in report.findings] == ["settings", "ollama"]
    assert url in report.findings[1].text
    assert "ollama serve" in report.as_text()


@pytest.mark.parametrize(
    ("version", "level"),
    [("0.12.5", "problem"), ("0.9.9", "problem"), ("0.12.6", "ok"), ("1.0.0-rc1", "ok"), ("0.0.0", "ok")],
)
def test_an_ollama_too_old_to_refuse_long_prompts_is_a_problem(version: str, level: str) -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/version", whole({"version": version}))
        found = findings(ollama)["ollama"]
    assert found.level == level
    assert version in found.text


def test_no_models_are_a_problem_and_the_remedy_is_a_command() -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/tags", whole({"models": []}))
        report = examine(Settings(), HTTPUpstream(ollama.url))
    assert not report.well
    assert report.findings[-1].remedy == "ollama pull llama3.2"


def test_a_model_that_does_not_load_is_a_problem() -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/chat", error(500, "model requires more system memory (9 GiB) than is available"))
        found = findings(ollama)["chat"]
    assert found.level == "problem"
    assert "more system memory" in found.text
    assert found.remedy.startswith("try: ollama run")


def test_an_answer_in_one_piece_is_a_problem() -> None:
    reply = {"message": {"role": "assistant", "content": "one two"}, "done": True, "done_reason": "stop"}
    with FakeOllama() as ollama:
        ollama.script("/api/chat", stream(reply))
        found = findings(ollama)["chat"]
    assert found.level == "problem"
    assert "did not stream" in found.text


def test_an_answer_without_a_word_is_worth_a_note() -> None:
    reply = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    with FakeOllama() as ollama:
        ollama.script("/api/chat", stream(reply))
        assert findings(ollama)["chat"].level == "note"


def test_only_embedding_models_cannot_chat() -> None:
    with FakeOllama() as ollama:
        names = [m for m in HTTPUpstream(ollama.url).tags()["models"] if "embed" in m["name"]]
        ollama.script("/api/tags", whole({"models": names}), whole({"models": names}))
        found = findings(ollama)
    assert found["chat"].level == "problem"
    assert found["embeddings"].level == "ok"
    assert "context" not in found


def test_without_an_embedding_model_there_is_a_note() -> None:
    with FakeOllama() as ollama:
        names = [m for m in HTTPUpstream(ollama.url).tags()["models"] if "embed" not in m["name"]]
        ollama.script("/api/tags", whole({"models": names}))
        found = findings(ollama)["embeddings"]
    assert found.level == "note"
    assert "ollama pull" in found.remedy


@pytest.mark.parametrize("answer", [error(500, "no"), whole({"embeddings": []}), whole({"embeddings": [[]]})])
def test_an_embedding_that_does_not_come_is_a_problem(
    answer: tuple[int, dict[str, str], list[bytes]],
) -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/embed", answer)
        assert findings(ollama)["embeddings"].level == "problem"


def test_a_small_window_is_told_with_both_ways_out() -> None:
    with FakeOllama() as ollama:
        found = findings(ollama)["context"]
    assert found.level == "note"
    assert "OLLAMA_CONTEXT_LENGTH=32768" in found.remedy
    assert "O2O_NUM_CTX=32768" in found.remedy


def test_the_window_that_o2o_sends_is_the_one_that_is_judged() -> None:
    with FakeOllama() as ollama:
        found = findings(ollama, Settings(num_ctx=ROOMY))["context"]
        assert ollama.asked("/api/chat")[0].body["options"]["num_ctx"] == ROOMY
    assert found.level == "ok"


def test_a_model_that_thinks_is_asked_not_to() -> None:
    with FakeOllama() as ollama:
        names = [m for m in HTTPUpstream(ollama.url).tags()["models"] if "think" in m["name"]]
        ollama.script("/api/tags", whole({"models": names}))
        findings(ollama)
        assert ollama.asked("/api/chat")[0].body["think"] is False


def test_a_model_with_a_small_window_of_its_own_is_told_apart() -> None:
    show = {
        "capabilities": ["completion"],
        "model_info": {"general.architecture": "a", "a.context_length": 8192},
    }
    with FakeOllama() as ollama:
        names = [m for m in HTTPUpstream(ollama.url).tags()["models"] if m["name"] == "practice:latest"]
        ollama.script("/api/tags", whole({"models": names}), whole({"models": names}))
        ollama.script("/api/show", whole(show), whole(show))
        found = findings(ollama)["context"]
    assert "8192 tokens at most" in found.text
    assert "another model" in found.remedy


def test_a_model_that_never_ends_is_a_problem() -> None:
    times = iter([0.0, 1e9])
    with FakeOllama() as ollama:
        report = examine(Settings(), HTTPUpstream(ollama.url), clock=lambda: next(times, 2e9))
    (found,) = [finding for finding in report.findings if finding.topic == "chat"]
    assert found.level == "problem"
    assert "longer than" in found.text


def test_a_report_says_what_is_wrong_and_what_to_do() -> None:
    model = Known("m", None, None, 4096, 1, False)
    findings = (Finding("models", "ok", "1 found"), Finding("chat", "problem", "broken", "mend it"))
    text = Report(findings, (model, model._replace(capabilities=frozenset(), window=None))).as_text()
    assert "PROBLEM  chat: broken" in text
    assert "-> mend it" in text
    assert "m: ?; up to ? tokens, loaded with 4096" in text
    assert "m: nothing; up to ? tokens\n" in text
    assert text.endswith("PROBLEM.")
