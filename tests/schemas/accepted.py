"""Bodies that are accepted: what OpenAI documents, and what clients send beyond it."""

from __future__ import annotations

import json

from tests.schemas.bodies import CALL, TOOL, Body, chat, formatted, part, said

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
ACCEPTED_CHATS: list[Body] = [
    chat(),
    chat(model="hf.co/org/Model-GGUF:Q4_K_M"),
    chat(model="modèle 日本"),
    chat(model="m" * 256),
    chat(a_parameter_of_next_year={"x": [1]}),
    # messages
    *[said(role=role, content="x") for role in ("system", "developer", "user", "assistant")],
    *[
        said(role=role, content=[{"type": "text", "text": "x"}])
        for role in ("system", "developer", "assistant")
    ],
    *[said(role=role, content=None) for role in ("system", "developer", "user", "assistant")],
    said(role="assistant"),
    said(role="assistant", content=[]),
    said(role="assistant", content="", refusal=None, audio=None, function_call=None, tool_calls=None),
    said(role="assistant", content="", reasoning="a", reasoning_content="a", thinking=None, annotations=[]),
    said(role="assistant", content=[{"type": "refusal", "refusal": "no"}]),
    said(role="assistant", tool_calls=[]),
    said(role="assistant", tool_calls=[CALL, CALL]),
    said(role="assistant", tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}]),
    said(
        role="assistant",
        tool_calls=[{"id": None, "type": None, "function": {"name": "f", "arguments": None}}],
    ),
    said(role="assistant", tool_calls=[{"type": "custom", "custom": {"name": "f", "input": "x"}}]),
    said(role="assistant", function_call={"name": "f", "arguments": "{}"}),
    said(role="tool", content="4", tool_call_id="call_1"),
    said(role="tool", content=[{"type": "text", "text": "4"}], tool_call_id="call_1"),
    said(role="tool", content="4", name="f"),
    said(role="tool", content="4", tool_name="f"),
    said(role="function", content=None, name="f"),
    said(role="user", content="x", name="ann"),
    chat(messages=[{"role": "user", "content": "x"}] * 2048),
    # parts
    part(type="image_url", image_url={"url": "data:image/png;base64,AAAA", "detail": "low"}),
    part(type="image_url", image_url="data:image/png;base64,AAAA"),
    part(type="input_audio", input_audio={"data": "AAAA", "format": "wav"}),
    part(type="file", file={"file_data": "AAAA", "filename": "a.txt"}),
    part(type="input_text", text="x"),
    part(type="text", text="x", prompt_cache_breakpoint={"mode": "explicit"}),
    # llama.cpp's shorthands
    chat(response_format={"type": "json_schema", "schema": SCHEMA}),
    chat(json_schema=SCHEMA),
    # tools
    chat(tools=[], tool_choice="auto"),
    chat(tools=None, tool_choice=None, functions=None, function_call=None),
    chat(tools=[TOOL] * 128),
    chat(
        tools=[
            {"type": "function", "function": {"name": "mcp.server/f", "description": None, "strict": True}}
        ]
    ),
    chat(tools=[{"type": "custom", "custom": {"name": "f", "format": {"type": "text"}}}]),
    *[chat(tool_choice=choice) for choice in ("none", "auto", "required", "any")],
    chat(tool_choice={"type": "function", "function": {"name": "f"}}),
    chat(tool_choice={"type": "custom", "custom": {"name": "f"}}),
    chat(
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]},
        }
    ),
    chat(tool_choice={"name": "f"}),
    chat(tool_choice={"type": "function", "name": "f"}),
    chat(functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"}),
    chat(functions=[], function_call="auto"),
    # formats
    chat(response_format={"type": "text"}),
    chat(response_format={"type": "json_object"}),
    chat(response_format={"type": "json_object", "schema": SCHEMA}),
    formatted(name="a-B_9", schema=SCHEMA, strict=None, description="x"),
    *[chat(format=value) for value in ("json", "", SCHEMA, None)],
    # sampling
    chat(temperature=0, top_p=1, frequency_penalty=-2, presence_penalty=2.0, n=128, seed=-1, top_logprobs=0),
    chat(temperature=2, max_tokens=-1, max_completion_tokens=1, logprobs=True, top_logprobs=20),
    chat(n=1.0, max_tokens=5.0, seed=2**63 - 1),
    chat(stop="x"),
    chat(stop=["a", "b", "c", "d"]),
    chat(stop=[]),
    chat(logit_bias={}),
    chat(logit_bias={"1": -100, "2": 0.5, "3": None}, metadata={"a": None}),
    # the rest of OpenAI's
    *[
        chat(reasoning_effort=effort)
        for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    ],
    chat(stream=True, stream_options={"include_usage": True, "include_obfuscation": False}),
    chat(modalities=["text", "audio"], audio={"voice": "a", "format": "wav"}, metadata={"a": "b"}, user="u"),
    chat(
        service_tier="auto",
        verbosity="low",
        store=True,
        web_search_options={},
        prediction={"type": "content"},
    ),
    chat(parallel_tool_calls=False, safety_identifier="x", prompt_cache_key="x", moderation={"model": "m"}),
    # local extras
    chat(options={"num_ctx": 8192, "num_predict": -1, "stop": ["a"] * 9, "temperature": 3.5, "unheard": []}),
    chat(options={"stop": "a", "seed": 0, "use_mmap": True, "num_gpu": -1, "mirostat": 1, "top_k": None}),
    *[chat(keep_alive=value) for value in ("10m", -1, 0.5, None)],
    *[chat(think=value) for value in (True, "high", None)],
    chat(top_k=40, min_p=0.1, typical_p=1, repeat_penalty=1.1, repetition_penalty=1, repeat_last_n=-1),
    chat(num_ctx=1, num_predict=-2, num_keep=4, num_batch=512, num_gpu=0, main_gpu=0, num_thread=0),
    chat(reasoning={"effort": "low", "exclude": True, "enabled": False, "max_tokens": 9, "summary": "auto"}),
    chat(
        include_reasoning=True, enable_thinking=False, chat_template_kwargs={"enable_thinking": False, "x": 1}
    ),
    chat(thinking={"type": "disabled"}),
    chat(thinking=False),
    chat(guided_json=SCHEMA, guided_choice=["a"], guided_regex="a", guided_grammar="root ::= 'a'"),
    chat(
        guided_json=json.dumps(SCHEMA),
        structured_outputs={"json": SCHEMA, "choice": ["a"]},
        json_schema=SCHEMA,
    ),
    chat(prefix=True, continue_final_message=True, add_generation_prompt=False, grammar="root"),
    chat(timings=True, truncate=False, raw=True, template="{{ .Prompt }}"),
    # the Responses API's form
    {"model": "m", "input": "hi", "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]},
    {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_text"}]}],
        "tool_choice": {"type": "x"},
    },
    {"model": "m", "messages": None, "input": "hi"},
    chat(input=None),
]

ACCEPTED_COMPLETIONS: list[Body] = [
    *[{"model": "m", "prompt": prompt} for prompt in ("", "x", [""], ["a", "b"], [1, 2], [[1], [2, 3]])],
    {"model": "m", "prompt": list(range(5000))},
    {"model": "m", "prompt": "x", "max_tokens": 0, "logprobs": 5, "best_of": 0, "echo": True, "suffix": "y"},
    {"model": "m", "prompt": "x", "max_tokens": -1, "raw": True, "options": {"num_ctx": 1}, "anything": 1},
]

ACCEPTED_EMBEDDINGS: list[Body] = [
    *[{"model": "m", "input": text} for text in ("x", ["x", "y"], ["x"] * 2048, [1, 2], [[1], [2]])],
    {"model": "m", "input": "x", "encoding_format": "base64", "dimensions": 256, "user": "u"},
    {"model": "m", "input": "x", "truncate": True, "keep_alive": "5m", "options": {"num_ctx": 512}},
]

ACCEPTED = [
    (endpoint, body)
    for endpoint, table in (
        ("chat", ACCEPTED_CHATS),
        ("completions", ACCEPTED_COMPLETIONS),
        ("embeddings", ACCEPTED_EMBEDDINGS),
    )
    for body in table
]
