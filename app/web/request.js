/**
 * Choices -> the request for a transcript whose events have times: the path, and the form's fields
 * as `[name, value]`.
 */
export function requestOf(choices) {
  const { isTranslated, language } = choices;
  const fields = [
    ["model", choices.model],
    ["response_format", "verbose_json"],
    ["stream", "true"],
  ];
  // The words of a translation are not those in the sound, and have no times.
  if (!isTranslated) {
    for (const each of ["segment", "word"]) fields.push(["timestamp_granularities[]", each]);
  }
  if (language) fields.push(["language", language]);
  const path = isTranslated ? "v1/audio/translations" : "v1/audio/transcriptions";
  return { path, fields: [...fields, ...optional(choices)] };
}

/** The form's fields of a job: all its formats can be asked for later. */
export function jobFieldsOf(choices) {
  const { isTranslated, language, model } = choices;
  const fields = [["model", model], ["response_format", "verbose_json"]];
  if (isTranslated) fields.push(["task", "translate"]);
  if (language) fields.push(["language", language]);
  return [...fields, ...optional(choices)];
}

/** The same request in other programs' words: `{ curl, python }`; `file` is the file's name. */
export function snippets(choices, file, base) {
  const { path, fields } = requestOf(choices);
  const asked = fields.filter(([name]) => name !== "stream");
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [["file", `@${file}`], ...asked];
  const curl = [
    `curl ${base}${path}`,
    '-H "Authorization: Bearer $OPENAI_API_KEY"',
    ...parts.map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`),
  ].join(" \\\n  ");
  return { curl, python: python(choices, asked, file, base) };
}

const KNOWN = ["model", "language", "prompt", "response_format"]; // to the SDK, for both routes

function python({ isTranslated }, asked, file, base) {
  const own = {};
  const lines = isTranslated ? [] : ['timestamp_granularities=["segment", "word"],'];
  for (const [name, value] of asked) {
    if (name === "timestamp_granularities[]") continue;
    if (KNOWN.includes(name) && !(isTranslated && name === "language")) {
      lines.push(`${name}=${JSON.stringify(value)},`);
    } else {
      const key = name.replace("[]", "");
      own[key] = name.endsWith("[]") ? [...(own[key] ?? []), value] : value;
    }
  }
  if (Object.keys(own).length) lines.push(`extra_body=${JSON.stringify(own)},`);
  const route = isTranslated ? "translations" : "transcriptions";
  return `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${base}v1`)})  # the key is in OPENAI_API_KEY
with open(${JSON.stringify(file)}, "rb") as recording:
    transcript = client.audio.${route}.create(
        file=recording,
        ${lines.join("\n        ")}
    )
print(transcript.text)
`;
}

function optional({ languages, withSpeakers, speakerCount, prompt, keywords }) {
  const fields = [];
  for (const each of languages) fields.push(["languages[]", each]);
  if (withSpeakers) fields.push(["diarize", "true"]);
  if (withSpeakers && speakerCount) fields.push(["num_speakers", String(speakerCount)]);
  if (prompt) fields.push(["prompt", prompt]);
  for (const each of keywords) fields.push(["keywords[]", each]);
  return fields;
}
