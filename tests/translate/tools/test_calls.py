"""A call is said as OpenAI says it."""

from __future__ import annotations

from o2o.translate.tools import Call, to_function_call, to_openai_call


def test_a_function_call_carries_its_arguments_as_text() -> None:
    call = Call("f", {"z": "é", "a": [1, 2.5, None, {"b": True}], "big": 2**70})
    assert to_openai_call(call, "call_1", 2) == {
        "index": 2,
        "id": "call_1",
        "type": "function",
        "function": {
            "name": "f",
            "arguments": '{"z":"é","a":[1,2.5,null,{"b":true}],"big":1180591620717411303424}',
        },
    }


def test_a_whole_answer_has_no_index() -> None:
    assert "index" not in to_openai_call(Call("f", {}), "call_1")


def test_a_custom_call_carries_its_input() -> None:
    assert to_openai_call(Call("sh", {"input": "ls\n"}, "custom"), "call_1") == {
        "id": "call_1",
        "type": "custom",
        "custom": {"name": "sh", "input": "ls\n"},
    }


def test_the_older_form_has_no_id() -> None:
    assert to_function_call(Call("f", {"a": 1})) == {"name": "f", "arguments": '{"a":1}'}
