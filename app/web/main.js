import { Account } from "./account.js";
import { Api } from "./api.js";
import { Choices } from "./choices.js";
import { transcribe } from "./from_file.js";
import { record } from "./from_microphone.js";
import { Key } from "./key.js";
import { Result } from "./result.js";
import { useTheme } from "./theme.js";
import { Usage } from "./usage.js";
import { Work } from "./work.js";

const element = (id) => document.getElementById(id);

const account = new Account();
const key = new Key(account);
const api = new Api(key);
const usage = new Usage(api);
const choices = new Choices();
const work = new Work();
const result = new Result((message) => work.say(message));
const parts = { api, key, choices, work, result };
const starters = [element("file"), element("record")];
let isBusy = false;

/** Runs one task at a time and says what goes wrong in it. */
async function run(task) {
  if (isBusy) {
    work.fail("Stop what is going on first: the page does one thing at a time.");
    return;
  }
  const focused = document.activeElement;
  setBusy(true);
  try {
    await task();
  } catch (error) {
    const isWanted = error.name === "AbortError";
    work.finish(isWanted ? "Cancelled." : "");
    if (!isWanted) work.fail(error.message);
  }
  setBusy(false);
  // What was disabled or hidden meanwhile has lost the focus.
  if (document.activeElement === document.body) focused.focus();
}

function setBusy(value) {
  isBusy = value;
  for (const control of [...starters, choices]) control.disabled = value;
}

/** Shows what there is to choose, while a task may begin already. */
async function greet() {
  try {
    await offerModels();
    work.fail("");
  } catch (error) {
    work.fail(error.message);
  }
}

/** Asks for a key if one is needed. */
async function offerModels() {
  choices.offer(await api.models());
}

function takeFile([file]) {
  if (!file) return;
  run(async () => {
    if (!choices.model) await offerModels(); // the key was missing
    await transcribe(file, parts);
  });
}

async function takeSpeech() {
  await offerModels(); // a socket that is refused cannot say why
  await record(parts);
}

element("file").onchange = ({ target }) => {
  takeFile(target.files);
  target.value = ""; // so that the same file can be chosen again
};
element("record").onclick = () => run(takeSpeech);
element("key").onclick = async () => {
  if (await key.ask()) greet();
};

element("usage").onclick = () => usage.show().catch((error) => work.fail(error.message));

// A recording lives in the page only.
window.onbeforeunload = (event) => {
  if (isBusy) event.preventDefault();
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
account.renew().then(greet);
