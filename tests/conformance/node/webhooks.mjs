// Has openai-node manage a webhook endpoint, then unwrap what was posted there: a line of JSON in,
// a line of JSON out, twice.
import { createInterface } from "node:readline";
import OpenAI from "openai";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const asked = async () => JSON.parse((await lines.next()).value);
const tell = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

const { baseURL, key, url } = await asked();
const { webhooks } = new OpenAI({ baseURL, apiKey: key, maxRetries: 0 });
const type = "batch.completed";
const made = await webhooks.create({ name: "nights", url, event_types: [type] });
const changed = await webhooks.update(made.id, { name: "all nights" });
const rotated = await webhooks.rotateSecret(made.id, { keep_old_secret_active_for_24_hours: true });
const found = await webhooks.retrieve(made.id);
const listed = [];
for await (const each of webhooks.list({ limit: 1 })) listed.push(each.id);
tell({ made, changed, found, listed });

const { body, headers } = await asked();
const unwrapped = (text, secret) =>
  webhooks.unwrap(text, headers, secret).catch((error) => error.constructor.name);
const secrets = [made.signing_secret, rotated.signing_secret];
const events = await Promise.all(secrets.map((secret) => unwrapped(body, secret)));
const forged = await unwrapped(body.replace(type, "batch.failed"), secrets[1]);
const tested = await webhooks.test(made.id, { event_type: type });
const { deleted } = await webhooks.delete(made.id);
tell({ events, forged, tested, deleted });
process.exit();
