import { Account } from "./account.js";
import { Announcer } from "./announcer.js";
import { Api, address } from "./api.js";
import { Choices } from "./choices.js";
import { copy } from "./downloads.js";
import { JobsView } from "./jobs_view.js";
import { Key } from "./key.js";
import { ACCEPTED } from "./problems.js";
import { Queue } from "./queue.js";
import { QueueView } from "./queue_view.js";
import { Recorder } from "./recorder.js";
import { RecordingView } from "./recording_view.js";
import { snippets } from "./request.js";
import { Shortcuts } from "./shortcuts.js";
import { statusOf } from "./status.js";
import { Store } from "./store.js";
import { useTheme } from "./theme.js";
import { Usage } from "./usage.js";

const element = (id) => document.getElementById(id);

const account = new Account();
const key = new Key(account);
const api = new Api(key);
const usage = new Usage(api);
const choices = new Choices();
const announcer = new Announcer();
const queue = new Queue(api, new Store());
const on = { open, retry, attach, again, delete: remove };
const view = new RecordingView(queue, announcer, on);
const list = new QueueView(queue, on);
const jobs = new JobsView(api, choices);
const recorder = new Recorder({ key, choices, queue, announcer, prepare: offerModels, open });

/** Shows what there is to choose, while files may come already. */
async function greet() {
  try {
    const about = await api.server();
    element("jobs-link").hidden = !about.jobs;
    element("docs-link").hidden = !about.docs;
    await offerModels();
    fail("");
    queue.release();
  } catch (error) {
    fail(error.message);
  }
}

/** Asks for a key if one is needed. */
async function offerModels() {
  choices.offer(await api.models());
}

function fail(message) {
  element("alert").textContent = message;
  element("alert").hidden = !message;
}

async function take(files) {
  if (!files.length) return;
  try {
    if (!choices.model) await offerModels(); // the key was missing
  } catch (error) {
    fail(error.message);
    return;
  }
  const all = queue.add(files, choices.value);
  all.forEach(announce);
  // Of many, a narrow screen shows the list.
  if (all.length === 1 || matchMedia("(min-width: 56rem)").matches) open(all[0]);
}

/** Has screen readers say how a recording ends. */
function announce(recording) {
  const told = () => {
    if (recording.isUnfinished) return;
    recording.removeEventListener("change", told);
    announcer.say(`${recording.name}: ${recording.error || statusOf(recording)}`);
  };
  recording.addEventListener("change", told);
}

function open(recording) {
  list.opened = recording ?? null;
  document.body.classList.toggle("reading", Boolean(recording));
  return view.open(recording ?? null);
}

function retry(recording) {
  announce(recording);
  return queue.retry(recording, choices.value);
}

async function again(recording) {
  const fresh = await queue.again(recording, choices.value);
  announce(fresh);
  open(fresh);
}

let awaited = null; // the recording that a chosen file belongs to

function attach(recording) {
  awaited = recording;
  element("again-file").click();
}

async function remove(recording) {
  const { name, status } = recording;
  const hasWords = status === "done" || status === "speaking";
  if (hasWords && !(await confirmed(`Delete ${name} and what was heard?`, "Delete"))) return;
  if (view.recording === recording) open(null);
  await queue.delete(recording);
}

/** Whether the person means it. */
function confirmed(question, label) {
  const dialog = element("confirm-dialog");
  element("confirm-question").textContent = question;
  element("confirm-yes").textContent = label;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

function showSnippets() {
  const base = String(address(""));
  const texts = snippets(choices.value, view.recording?.name ?? "recording.mp3", base);
  for (const [name, text] of Object.entries(texts)) {
    element(`${name}-text`).textContent = text;
    element(`${name}-copy`).onclick = async () => {
      const isCopied = await copy(text);
      element("api-status").textContent = isCopied ? "Copied." : "Select it and copy it.";
    };
  }
  element("api-status").textContent = "";
  element("api-dialog").showModal();
}

/** The address after # chooses between the two views. */
function route() {
  const isJobs = location.hash === "#jobs";
  element("transcripts").hidden = isJobs;
  element("jobs-link").setAttribute("aria-current", isJobs ? "page" : "false");
  if (isJobs) jobs.open();
  else jobs.close();
}

for (const id of ["file", "again-file", "job-files"]) element(id).accept = ACCEPTED;
element("file").onchange = ({ target }) => {
  take([...target.files]);
  target.value = ""; // so that the same file can be chosen again
};
element("again-file").onchange = ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (file) queue.attach(awaited, file);
  if (view.recording === awaited) open(awaited);
};
element("record").onclick = () => recorder.start();
element("key").onclick = async () => {
  if (await key.ask()) greet();
};
element("usage").onclick = () => usage.show().catch((error) => fail(error.message));
element("back").onclick = () => {
  const { recording } = view;
  open(null);
  list.focus(recording);
};
element("keep").checked = queue.keepsSound;
element("keep").onchange = ({ target }) => queue.keepSounds(target.checked);
element("delete-all").onclick = async () => {
  const count = queue.recordings.length;
  const all = count === 1 ? "the recording" : `all ${count} recordings`;
  if (!(await confirmed(`Delete ${all} and what was heard?`, "Delete all"))) return;
  open(null);
  queue.deleteAll();
};
element("api").onclick = showSnippets;
element("help").onclick = () => element("shortcuts-dialog").showModal();
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
}
queue.addEventListener("unkept", ({ detail }) => {
  fail(`This browser keeps no history here: ${detail}`);
});
window.onhashchange = route;
window.onbeforeunload = (event) => {
  if (queue.isFragile) event.preventDefault();
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
  take([...event.dataTransfer.files]);
};

new Shortcuts([
  [" ", "Space", "Play or pause", () => view.play()],
  ["j", "J", "5 seconds back", () => view.skip(-5)],
  ["l", "L", "5 seconds on", () => view.skip(5)],
  ["[", "[", "Slower", () => view.faster(-1)],
  ["]", "]", "Faster", () => view.faster(1)],
  ["arrows", "← →", "On a line's time: a word back or on, and play", null],
  ["updown", "↑ ↓", "On a line's time: the line above or below", null],
  ["e", "E", "Edit the words, or end editing", () => view.edit()],
  ["f", "F", "Find and replace", () => view.find()],
  ["ctrl+z", "Ctrl Z", "Undo", () => view.undo()],
  ["ctrl+shift+z", "Ctrl Shift Z", "Redo", () => view.redo()],
  ["n", "N", "The next recording", () => open(list.beside(1) ?? view.recording)],
  ["p", "P", "The recording before", () => open(list.beside(-1) ?? view.recording)],
  ["?", "?", "This sheet", () => element("shortcuts-dialog").showModal()],
]);
useTheme(element("theme"));
route();
account.renew().then(greet);
queue.open();
