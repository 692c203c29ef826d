// Vercel's AI SDK: prints what each call of `transcribe` heard, {call: text}. Once any option is set,
// this release sends `timestamp_granularities[]` with every model, those without times too.
import { readFile } from "node:fs/promises";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_transcribe as transcribe } from "ai";

const [baseURL, path] = process.argv.slice(2);
const openai = createOpenAI({ baseURL, apiKey: "any key" });
const audio = await readFile(path);

async function answer(model, options) {
  const providerOptions = options && { openai: options };
  const result = await transcribe({
    model: openai.transcription(model),
    audio,
    providerOptions,
    maxRetries: 0,
  });
  return [result.text, result.language, result.segments.length];
}

const answers = {
  plain: await answer("whisper-1"),
  words: await answer("whisper-1", { timestampGranularities: ["word"], language: "en-US" }),
  "gpt-4o": await answer("gpt-4o-transcribe", { temperature: 0 }),
  "gpt-4o-mini": await answer("gpt-4o-mini-transcribe-2025-12-15", { language: "en" }),
  logprobs: await answer("gpt-4o-mini-transcribe", { include: ["logprobs"] }),
  keywords: await answer("gpt-transcribe", { keywords: ["printer"], languages: ["en"] }),
};
process.stdout.write(JSON.stringify(answers));
