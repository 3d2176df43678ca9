// What OpenAI's client for Node makes of our answers; prints one JSON object that test_node.py looks at.
// With the argument `broken` it reads one stream that is to fail in the middle.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "none", maxRetries: 0 });
const say = (text) => [{ role: "user", content: text }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const found = {};

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status,
      code: error.code,
      param: error.param,
      message: error.message,
      requestID: error.requestID,
    };
  }
  return null;
}

if (process.argv[2] === "broken") {
  const stream = client.chat.completions.stream({ model: "practice", messages: say("x") });
  let said = "";
  stream.on("content", (delta) => (said += delta));
  console.log(JSON.stringify({ error: await failure(stream.finalChatCompletion()), said }));
  process.exit(0);
}

const { data, response } = await client.chat.completions
  .create({ model: "practice", messages: say("say: hello") })
  .withResponse();
found.whole = data;
found.requestId = response.headers.get("x-request-id");

found.chunks = [];
for await (const chunk of await client.chat.completions.create({
  model: "practice",
  messages: say("count to 9"),
  stream: true,
})) {
  found.chunks.push(chunk);
}

const runner = client.chat.completions.stream({
  model: "practice-think",
  messages: say("count to 9"),
  stream_options: { include_usage: true },
});
found.deltas = [];
runner.on("content", (delta) => found.deltas.push(delta));
found.accumulated = await runner.finalChatCompletion();
found.usage = await runner.totalUsage();

const called = client.chat.completions.stream({
  model: "practice",
  messages: say("call get_weather for Berlin"),
  tools,
});
found.called = await called.finalChatCompletion();

const heard = [];
const running = client.chat.completions.runTools({
  model: "practice",
  messages: say("call get_weather for Berlin"),
  tools: [
    {
      type: "function",
      function: {
        ...tools[0].function,
        parse: JSON.parse,
        function: ({ city }) => {
          heard.push(city);
          return "18 degrees";
        },
      },
    },
  ],
});
found.ran = await running.finalContent();
found.heard = heard;

const vector = await client.embeddings.create({ model: "practice-embed", input: ["a red fox", "a green owl"] });
found.vectors = vector.data.map((entry) => Array.from(entry.embedding));

found.models = [];
for await (const model of client.models.list()) found.models.push(model.id);

found.unknown = await failure(client.chat.completions.create({ model: "gone", messages: say("x") }));
found.refused = await failure(client.chat.completions.create({ model: "practice", messages: say("x"), temperature: 9 }));

console.log(JSON.stringify(found));
