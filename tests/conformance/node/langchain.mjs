// LangChain's loader: prints what it heard of a file, which it names by its whole path, and of a
// Blob, which it names by its type, {source: texts}.
import { readFile } from "node:fs/promises";
import { OpenAIWhisperAudio } from "@langchain/community/document_loaders/fs/openai_whisper_audio";

const [baseURL, path] = process.argv.slice(2);
const options = {
  clientOptions: { baseURL, apiKey: "any key", maxRetries: 0 },
  transcriptionCreateParams: { language: "en" },
};

async function texts(source) {
  const documents = await new OpenAIWhisperAudio(source, options).load();
  return documents.map((document) => document.pageContent);
}

const answers = {
  file: await texts(path),
  blob: await texts(new Blob([await readFile(path)], { type: "audio/wav" })),
};
process.stdout.write(JSON.stringify(answers));
