from __future__ import annotations

import json

from o2o.practice import faults


def test_what_the_runner_says_is_json_inside_the_text() -> None:
    fault = faults.from_runner(400, 'a "b"', n_ctx=5)
    expected = {"error": {"code": 400, "message": 'a "b"', "type": "invalid_request_error", "n_ctx": 5}}
    assert json.loads(fault.text) == expected
    assert (fault.status, fault.late) == (400, True)


def test_what_ollama_says_is_plain() -> None:
    assert faults.model_not_found("x").text == "model 'x' not found"
    assert not faults.cannot("x", "chat").late
