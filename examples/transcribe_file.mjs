// A recording to text, with OpenAI's own client for Node.
//
// npm install openai
// node examples/transcribe_file.mjs samples/jfk.flac

import { createReadStream } from "node:fs";
import { parseArgs } from "node:util";
import OpenAI from "openai";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string", default: "http://127.0.0.1:8000" },
    key: { type: "string", default: "any" },
    model: { type: "string", default: "whisper-1" },
  },
});
const client = new OpenAI({ baseURL: `${values.url}/v1`, apiKey: values.key });
for (const path of positionals) {
  const file = createReadStream(path);
  const answer = await client.audio.transcriptions.create({ file, model: values.model });
  console.log(answer.text);
}
