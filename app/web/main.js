import { Api } from "./api.js";
import { Choices } from "./choices.js";
import { transcribe } from "./from_file.js";
import { record } from "./from_microphone.js";
import { Key } from "./key.js";
import { Result } from "./result.js";
import { useTheme } from "./theme.js";
import { Work } from "./work.js";

const element = (id) => document.getElementById(id);

const key = new Key();
const api = new Api(key);
const choices = new Choices();
const work = new Work();
const result = new Result((message) => work.say(message));
const parts = { api, key, choices, work, result };
const starters = [element("file"), element("record")];

/** Runs one task at a time and says what goes wrong in it. */
async function run(task) {
  if (starters[0].disabled) {
    work.fail("Stop what is going on first: the page does one thing at a time.");
    return;
  }
  enable(false);
  try {
    await task();
  } catch (error) {
    const isWanted = error.name === "AbortError";
    work.finish(isWanted ? "Cancelled." : "");
    if (!isWanted) work.fail(error.message);
  }
  enable(true);
}

function enable(yes) {
  for (const control of starters) control.disabled = !yes;
  choices.disabled = !yes;
}

/** Shows what there is to choose, while a task may begin already. */
async function greet() {
  try {
    await offerModels();
  } catch (error) {
    work.fail(error.message);
  }
}

/** Asks for a key if one is needed, before an upload is in vain or a socket refused wordlessly. */
async function offerModels() {
  choices.offer(await api.models());
}

function start(task) {
  run(async () => {
    await offerModels();
    await task();
  });
}

function takeFile([file]) {
  if (file) start(() => transcribe(file, parts));
}

element("file").onchange = ({ target }) => {
  takeFile(target.files);
  target.value = ""; // so that the same file can be chosen again
};
element("record").onclick = () => start(() => record(parts));
element("key").onclick = async () => {
  if (await key.ask()) greet();
};

// The whole page takes what is dropped; otherwise a browser would leave the page for the file.
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
};
document.ondragleave = ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dropping");
};
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  takeFile(event.dataTransfer.files);
};

useTheme(element("theme"));
greet();
