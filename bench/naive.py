"""The adapter that one writes first, with the same libraries as o2o and none of the care: the teaching row.

Flask under gunicorn's gevent worker; a schema checked from scratch for each request, a connection opened for each
request, a line decoded, encoded and written at a time.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import time
import uuid
from collections.abc import Iterator
from typing import Any

import jsonschema
import requests
from flask import Flask, Response, jsonify, request

OLLAMA = os.environ["OLLAMA_API_BASE_URL"]
SCHEMA = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string"},
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
                    "content": {"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}]},
                },
            },
        },
        "tools": {"type": "array", "items": {"type": "object", "required": ["type", "function"]}},
        "stream": {"type": "boolean"},
    },
}
app = Flask(__name__)


def to_message(message: dict[str, Any]) -> dict[str, Any]:
    if isinstance(message.get("content"), list):
        texts = [part["text"] for part in message["content"] if part["type"] == "text"]
        urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
        return {**message, "content": "".join(texts), "images": [url.split(",", 1)[1] for url in urls]}
    return message


def to_openai(said: dict[str, Any]) -> dict[str, Any]:
    out = {"role": "assistant", "content": said.get("content", "")}
    if said.get("thinking"):
        out["reasoning_content"] = said["thinking"]
    if said.get("tool_calls"):
        out["tool_calls"] = [
            {"index": i, "id": call["id"], "type": "function",
             "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for i, call in enumerate(said["tool_calls"])
        ]  # fmt: skip
    return out


@app.post("/v1/chat/completions")
def chat() -> Response:
    body = request.get_json()
    jsonschema.validate(body, SCHEMA)
    payload = {
        **body,
        "messages": [to_message(m) for m in body["messages"]],
        "stream": body.get("stream", False),
    }
    reply = requests.post(f"{OLLAMA}/api/chat", json=payload, stream=payload["stream"], timeout=600)
    reply.raise_for_status()
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body["model"]}
    if not payload["stream"]:
        choice = {"index": 0, "message": to_openai(reply.json()["message"]), "finish_reason": "stop"}
        return jsonify({**head, "object": "chat.completion", "choices": [choice]})

    def events() -> Iterator[str]:
        for line in reply.iter_lines():
            said = json.loads(line)
            finish = said["done_reason"] if said["done"] else None
            choice = {"index": 0, "delta": to_openai(said["message"]), "finish_reason": finish}
            yield f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"

    return Response(events(), mimetype="text/event-stream")


@app.post("/v1/embeddings")
def embeddings() -> Response:
    body = request.get_json()
    payload = {"model": body["model"], "input": body["input"]}
    rows = requests.post(f"{OLLAMA}/api/embed", json=payload, timeout=600).json()["embeddings"]
    if body.get("encoding_format") == "base64":
        rows = [base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode() for row in rows]
    data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
    return jsonify({"object": "list", "data": data, "model": body["model"]})


@app.get("/v1/models")
def models() -> Response:
    tags = requests.get(f"{OLLAMA}/api/tags", timeout=600).json()["models"]
    return jsonify({"object": "list", "data": [{"id": tag["name"], "object": "model"} for tag in tags]})
