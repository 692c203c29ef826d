// Uploads a recording in parts with openai-node, has a batch over it run, reads the output and
// deletes the file; prints what it was told as JSON.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { text } from "node:stream/consumers";
import OpenAI, { toFile } from "openai";

const { baseURL, key, path } = JSON.parse(await text(process.stdin));
const client = new OpenAI({ baseURL, apiKey: key, maxRetries: 0 });

const content = await readFile(path);
const announced = await client.uploads.create({
  filename: basename(path),
  bytes: content.length,
  mime_type: "audio/wav",
  purpose: "user_data",
});
const middle = content.length >> 1;
const partIds = [];
for (const piece of [content.subarray(0, middle), content.subarray(middle)]) {
  const part = await client.uploads.parts.create(announced.id, { data: await toFile(piece) });
  partIds.push(part.id);
}
const upload = await client.uploads.complete(announced.id, { part_ids: partIds });

const endpoint = "/v1/audio/transcriptions";
const requests = ["a", "b"].map((custom_id) =>
  JSON.stringify({
    custom_id,
    method: "POST",
    url: endpoint,
    body: { model: "whisper-1", file: upload.file.id },
  }),
);
const input = await client.files.create({
  file: await toFile(Buffer.from(requests.join("\n")), "in.jsonl"),
  purpose: "batch",
});
const wanted = { input_file_id: input.id, endpoint, completion_window: "24h" };
let batch = await client.batches.create(wanted);
while (!["completed", "failed", "expired", "cancelled"].includes(batch.status)) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  batch = await client.batches.retrieve(batch.id);
}
const output = await (await client.files.content(batch.output_file_id)).text();
const lines = output.trim().split("\n").map(JSON.parse);
const listed = (await client.batches.list()).data.some((each) => each.id === batch.id);
const second = await client.batches.create(wanted);
const cancelled = await client.batches.cancel(second.id).then(
  (each) => each.status,
  (error) => (error.status === 409 ? "completed" : String(error)),
);
const deleted = (await client.files.delete(batch.output_file_id)).deleted;
process.stdout.write(JSON.stringify({ upload, batch, lines, listed, cancelled, deleted }));
