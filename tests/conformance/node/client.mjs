// Sends the calls that it reads as JSON from stdin with openai-node, and prints what it was told:
// {id: {content, headers}} or {id: {error}}. createReadStream makes a chunked body of no
// announced length.
import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";
import OpenAI from "openai";

const { baseURL, calls } = JSON.parse(await text(process.stdin));
const client = new OpenAI({ baseURL, apiKey: "any key", maxRetries: 0 });

function send({ route, path, model, fields }) {
  if (route === "models") return client.models.list();
  if (route === "model") return client.models.retrieve(model);
  return client.audio[route].create({ file: createReadStream(path), model, ...fields });
}

async function contentOf(data, { route, fields }) {
  if (route === "models") return { object: data.object, data: data.data };
  if (!fields.stream) return data;
  const events = [];
  for await (const event of data) events.push(event);
  return events;
}

async function answer(call) {
  try {
    const { data, response } = await send(call).withResponse();
    const headers = Object.fromEntries(response.headers);
    return { content: await contentOf(data, call), headers };
  } catch (error) {
    return { error: String(error) };
  }
}

const answers = {};
for (const call of calls) answers[call.id] = await answer(call);
process.stdout.write(JSON.stringify(answers));
