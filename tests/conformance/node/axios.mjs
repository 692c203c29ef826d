// axios with form-data: prints the text of each way to append a file, {way: text}.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import axios from "axios";
import FormData from "form-data";

const [baseURL, path] = process.argv.slice(2);
const audio = await readFile(path);
const client = axios.create({ baseURL, headers: { authorization: "Bearer any key" } });

async function answer(file, options, fields = {}) {
  const form = new FormData();
  form.append("file", file, options);
  for (const [name, value] of Object.entries({ model: "whisper-1", ...fields })) {
    form.append(name, value);
  }
  const { data } = await client.post("/audio/transcriptions", form);
  return data.text ?? data;
}

const answers = {
  stream: await answer(createReadStream(path)),
  "named buffer": await answer(audio, { filename: basename(path), contentType: "audio/wav" }),
  "buffer with a type": await answer(audio, { contentType: "audio/wav" }),
  buffer: await answer(audio),
  "named by its path": await answer(audio, { filepath: "recordings/ü.wav" }),
  text: await answer(audio, undefined, { response_format: "text", language: "undefined" }),
};
process.stdout.write(JSON.stringify(answers));
