"""The adapter that is usually written: FastAPI and httpx under uvicorn. The baseline of most goals.

One shared client with its default pool; no validation, which is in its favour; no embeddings.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

# Both live in the environment that the benchmark makes for this row, not in the project's.
import httpx  # type: ignore[import-not-found, unused-ignore]
from fastapi import FastAPI, Request  # type: ignore[import-not-found, unused-ignore]
from fastapi.responses import StreamingResponse  # type: ignore[import-not-found, unused-ignore]

app = FastAPI()
client = httpx.AsyncClient(base_url=os.environ["OLLAMA_API_BASE_URL"], timeout=600)


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
            {
                "index": i,
                "id": call["id"],
                "type": "function",
                "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])},
            }
            for i, call in enumerate(said["tool_calls"])
        ]
    return out


@app.post("/v1/chat/completions", response_model=None)  # type: ignore[untyped-decorator, unused-ignore]
async def chat(request: Request) -> Any:
    body = await request.json()
    payload = {
        "model": body["model"],
        "messages": [to_message(message) for message in body["messages"]],
        "stream": body.get("stream", False),
    }
    if "tools" in body:
        payload["tools"] = body["tools"]
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body["model"]}
    if not payload["stream"]:
        reply = await client.post("/api/chat", json=payload)
        reply.raise_for_status()
        choice = {"index": 0, "message": to_openai(reply.json()["message"]), "finish_reason": "stop"}
        return {**head, "object": "chat.completion", "choices": [choice]}

    async def events() -> AsyncIterator[str]:
        async with client.stream("POST", "/api/chat", json=payload) as reply:
            async for line in reply.aiter_lines():
                said = json.loads(line)
                finish = said["done_reason"] if said["done"] else None
                choice = {"index": 0, "delta": to_openai(said["message"]), "finish_reason": finish}
                chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
                yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/v1/models")  # type: ignore[untyped-decorator, unused-ignore]
async def models() -> dict[str, Any]:
    tags = (await client.get("/api/tags")).json()["models"]
    return {"object": "list", "data": [{"id": tag["name"], "object": "model"} for tag in tags]}
