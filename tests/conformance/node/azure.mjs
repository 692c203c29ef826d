// openai-node's class for Azure: prints what each call answered, {call: answer}.
import { createReadStream } from "node:fs";
import { AzureOpenAI } from "openai";

const [endpoint, path] = process.argv.slice(2);
const options = { endpoint, apiKey: "any key", apiVersion: "2024-10-21", maxRetries: 0 };

async function answers(client) {
  const file = () => createReadStream(path);
  const { text } = await client.audio.transcriptions.create({ file: file(), model: "whisper-1" });
  const stream = await client.audio.transcriptions.create({
    file: file(),
    model: "gpt-4o-transcribe",
    stream: true,
  });
  const events = [];
  for await (const event of stream) events.push(event);
  const translation = await client.audio.translations.create({ file: file(), model: "whisper-1" });
  const { id } = await client.models.retrieve("whisper-1");
  return [text, events.at(-1).text, translation.text, id];
}

const found = {
  endpoint: await answers(new AzureOpenAI(options)),
  deployment: await answers(new AzureOpenAI({ ...options, deployment: "whisper-1" })),
};
process.stdout.write(JSON.stringify(found));
