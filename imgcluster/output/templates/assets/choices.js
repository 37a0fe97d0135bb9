// What a person chooses and puts right: every act is a step in a log, so each can be undone, and pages share them.
"use strict";

const choices = document.getElementById("choices");
const nameField = document.getElementById("cluster-name");
const STORED = `imgcluster ${choices.dataset.report}`;
const LONGEST_CARRIED = 200_000;
// Names of clusters, or the numbers of those that have none, to their numbers.
const clusterOf = new Map([...choices.querySelectorAll("option")].map((o) => [o.value, Number(o.dataset.cluster)]));
const offered = new Set(clusterOf.keys());
const onChoices = []; // what else is to be shown anew after an act
let log = { at: 0, steps: [], undone: [] };
let state = stateOf([]);

// chosen: images; put: images to the name of their cluster, or null for "not this"; names: clusters to names.
function stateOf(steps) {
  const found = { chosen: new Set(), put: new Map(), names: new Map() };
  for (const [act, what, name] of steps) {
    if (act === "choose") for (const image of what) found.chosen.add(image);
    else if (act === "leave") for (const image of what) found.chosen.delete(image);
    else if (act === "name") found.names.set(what, name);
    else if (act === "put") for (const image of what) found.put.set(image, name);
    if (act === "put" || act === "name") found.chosen.clear();
  }
  return found;
}

function keepLog() {
  log.at = Date.now();
  try {
    localStorage.setItem(STORED, JSON.stringify(log));
  } catch {
    // Some browsers give pages from disk no storage; then links carry the log.
  }
}

function changed() {
  state = stateOf(log.steps);
  showChoices();
}

function act(...step) {
  log.steps.push(step);
  log.undone = [];
  keepLog();
  changed();
}

function goBack(from, to) {
  if (!from.length) return;
  to.push(from.pop());
  keepLog();
  changed();
}

const undo = () => goBack(log.steps, log.undone);
const redo = () => goBack(log.undone, log.steps);

function toggle(images) {
  const are = images.every((image) => state.chosen.has(image));
  if (images.length) act(are ? "leave" : "choose", images);
}

// --- from page to page ------------------------------------------------------------------------------------

function parsed(text) {
  try {
    const found = JSON.parse(text);
    return Array.isArray(found?.steps) && Array.isArray(found.undone) ? found : null;
  } catch {
    return null;
  }
}

function restore() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const carried = asked.get("choices");
  let stored = null;
  try {
    stored = localStorage.getItem(STORED);
    if (carried) {
      asked.delete("choices");
      history.replaceState(null, "", asked.size ? `#${asked}` : location.pathname);
    }
  } catch {
    // As above; the address keeps what it brought.
  }
  for (const text of [stored, carried]) {
    const found = parsed(text);
    if (found && found.at > log.at) log = found;
  }
  changed();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not(.tile, [target], [download], [href^='#'])");
  const text = JSON.stringify(log);
  if (!link || !log.at || text.length > LONGEST_CARRIED) return;
  const url = new URL(link.href);
  const asked = new URLSearchParams(url.hash.slice(1));
  asked.set("choices", text);
  url.hash = asked;
  link.href = url;
}, true);
window.addEventListener("storage", restore);
window.addEventListener("pageshow", (event) => { if (event.persisted) restore(); });

// --- what is seen -----------------------------------------------------------------------------------------

const plural = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const saidOf = (image) => (state.put.get(image) === null ? "not this cluster" : `→ ${state.put.get(image)}`);

function showTile(tile) {
  const image = Number(tile.dataset.image);
  let tick = tile.parentElement.querySelector(".tick");
  if (!tick) {
    tick = document.createElement("input");
    tick.type = "checkbox";
    tick.className = "tick";
    tick.setAttribute("aria-label", `Choose ${tile.querySelector(".name").textContent}`);
    tick.addEventListener("change", () => toggle([image]));
    tile.after(tick);
  }
  tick.checked = state.chosen.has(image);
  tile.querySelector(".said")?.remove();
  if (state.put.has(image)) tile.append(part("said", saidOf(image)));
}

function showChoices() {
  for (const tile of document.querySelectorAll("a.tile[data-image]")) showTile(tile);
  choices.hidden = !log.steps.length && !log.undone.length;
  const count = state.chosen.size;
  document.getElementById("choices-count").textContent = `${count.toLocaleString("en")} chosen`;
  for (const line of choices.querySelectorAll(".of-chosen")) line.hidden = !count;
  choices.querySelector("[data-act=undo]").disabled = !log.steps.length;
  choices.querySelector("[data-act=redo]").disabled = !log.undone.length;
  choices.querySelector("[data-act=save]").disabled = !state.put.size && !state.names.size;
  const names = [...state.names].map(([cluster, name]) => `cluster ${cluster} is ${name}`);
  document.getElementById("choices-made").textContent =
    [...(state.put.size ? [`${plural(state.put.size, "image")} put right`] : []), ...names].join(", ");
  document.getElementById("choices-next").hidden = true;
  for (const name of [...state.put.values(), ...state.names.values()]) {
    if (name === null || offered.has(name)) continue;
    offered.add(name);
    document.getElementById("cluster-names").append(new Option(name, name));
  }
  showChosenInViewer();
  for (const show of onChoices) show();
}

function showChosenInViewer() {
  const button = viewer.querySelector("[data-do=choose]");
  button.disabled = !current?.dataset.image;
  const is = !button.disabled && state.chosen.has(Number(current.dataset.image));
  button.setAttribute("aria-pressed", is);
}

// --- what is put right --------------------------------------------------------------------------------------

const imagesOf = (cluster) => columns.image.filter((image, row) => image === row && columns.cluster[row] === cluster);

async function put(name) {
  await imageColumns();
  const images = [...state.chosen];
  const clusters = new Set(images.map((image) => columns.cluster[image]));
  const [cluster] = clusters;
  // An image that was put elsewhere before would stay there: of the two acts the later one counts.
  const isWhole = clusters.size === 1 && cluster >= 0 && imagesOf(cluster).length === images.length
    && !images.some((image) => state.put.has(image));
  const isNew = !clusterOf.has(name) && ![...state.names.values()].includes(name);
  if (isWhole && isNew) act("name", cluster, name);
  else act("put", images, name);
  nameField.value = "";
  say(isWhole && isNew ? `Cluster ${cluster} will be called ${name}` : `${plural(images.length, "image")}: ${name}`);
}

function problemOf(name) {
  if (!name) return "Write a name, or choose one.";
  if (name.includes("/") || name === "." || name === "..") return "A name goes without /.";
  if (name.startsWith("not ")) return "In an edits file that says something else.";
  return "";
}

const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const noFormula = (text) => (/^[=+\-@\t\r']/.test(text) ? `'${text}` : text);
const referenceTo = (cluster) => [...clusterOf].find(([, number]) => number === cluster)?.[0] ?? String(cluster);

function editsText() {
  const rows = [["key", "path", "cluster", "name"]];
  for (const [cluster, name] of state.names) rows.push(["", "", String(cluster), noFormula(name)]);
  for (const [image, name] of state.put) {
    if (columns.image[image] !== image || (name === null && columns.cluster[image] < 0)) continue;
    const cluster = name ?? `not ${referenceTo(columns.cluster[image])}`;
    rows.push([columns.key[image], noFormula(columns.path[image]), noFormula(cluster), ""]);
  }
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

// As many clusters as there are, those that images are put into and that are new, without those that all images leave.
function clustersWanted() {
  const known = new Set([...clusterOf.keys(), ...state.names.values()]);
  const made = new Set([...state.put.values()].filter((name) => name !== null && !known.has(name)));
  const staying = new Set();
  columns.image.forEach((image, row) => {
    const [cluster, name] = [columns.cluster[row], state.put.get(image)];
    if (name === undefined || clusterOf.get(name) === cluster || state.names.get(cluster) === name) staying.add(cluster);
  });
  const taken = [...state.put.values()].map((name) => clusterOf.get(name)).filter((cluster) => cluster !== undefined);
  for (const cluster of [...taken, ...state.names.keys()]) staying.add(cluster);
  staying.delete(-1);
  return staying.size + made.size;
}

async function save() {
  await imageColumns();
  const k = clustersWanted();
  if (!k) { say("No image would be left in a cluster: leave some where they are."); return; }
  const link = document.createElement("a");
  link.download = "edits.csv";
  link.href = URL.createObjectURL(new Blob([editsText()], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  const next = document.getElementById("choices-next");
  next.hidden = false;
  next.querySelector("code").textContent = `${choices.dataset.command} --k ${k} --edits edits.csv`;
}

const acts = {
  undo,
  redo,
  save,
  clear: () => act("leave", [...state.chosen]),
  not: () => act("put", [...state.chosen], null),
  copy: async () => {
    await imageColumns();
    const paths = [...state.chosen].map((image) => columns.copy[image] || columns.path[image]);
    copyText(paths.join("\n"), paths.length === 1 ? "Path" : `${paths.length} paths`);
  },
  command: () => copyText(document.querySelector("#choices-next code").textContent, "Command"),
};

choices.addEventListener("click", (event) => acts[event.target.dataset.act]?.());
choices.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = nameField.value.trim().normalize("NFC");
  const problem = problemOf(name);
  if (problem) say(problem);
  else put(name);
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.target.matches("input:not([type=checkbox]), select")) return;
  const back = { z: event.shiftKey ? redo : undo, y: redo }[event.key.toLowerCase()];
  if (!back) return;
  event.preventDefault();
  back();
});
viewer.addEventListener("shown", showChosenInViewer);
viewer.addEventListener("click", (event) => {
  if (event.target.dataset.do === "choose") toggle([Number(current.dataset.image)]);
});
for (const button of document.querySelectorAll("[data-choose]")) {
  button.addEventListener("click", async () => {
    await imageColumns();
    toggle(imagesOf(Number(button.dataset.choose)));
  });
}
restore();
