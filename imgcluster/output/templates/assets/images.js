// All images in one list: words narrow it, and it is put in order. What is chosen stands in the address.
"use strict";

const STEP = 200;
const [query, within, order] = ["query", "within", "order"].map((id) => document.getElementById(id));
const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const orders = {
  cluster: (a, b) => a - b,
  name: (a, b) => names.compare(columns.name[a], columns.name[b]) || a - b,
  new: (a, b) => (columns.date[b] > columns.date[a]) - (columns.date[b] < columns.date[a]) || a - b,
  old: (a, b) => (columns.date[a] > columns.date[b]) - (columns.date[a] < columns.date[b]) || a - b,
};
let texts = [];
let found = [];
let shown = 0;

function showMore() {
  const next = found.slice(shown, shown + STEP);
  document.getElementById("found").append(...next.map((index) => tileOf(rowAt(index), 160)));
  shown += next.length;
  showChoices();
  document.getElementById("more").hidden = shown === found.length;
}

function search() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = columns.image.map((_, i) => i).filter((i) =>
    (within.value === "" || columns.cluster[i] === Number(within.value)) && words.every((word) => texts[i].includes(word)));
  found.sort(orders[order.value]);
  shown = 0;
  document.getElementById("found").replaceChildren();
  showMore();
  const count = found.length.toLocaleString("en");
  document.getElementById("count").textContent =
    found.length === texts.length ? `All ${count} images.` : `${count} of ${texts.length.toLocaleString("en")} images.`;
  const chosen = new URLSearchParams({ q: query.value, within: within.value, order: order.value });
  try {
    history.replaceState(null, "", `#${chosen}`);
  } catch {
    // Some browsers let no page from disk change its address; then a reload begins anew.
  }
}

const asked = new URLSearchParams(location.hash.slice(1));
query.value = asked.get("q") || "";
for (const [list, wanted] of [[within, asked.get("within")], [order, asked.get("order")]]) {
  if ([...list.options].some((option) => option.value === wanted)) list.value = wanted;
}
query.addEventListener("input", () => {
  clearTimeout(search.timer);
  search.timer = setTimeout(search, 120);
});
for (const list of [within, order]) list.addEventListener("change", search);
document.getElementById("more").addEventListener("click", showMore);
document.getElementById("choose-found").addEventListener("click", () => toggle([...new Set(found.map((i) => columns.image[i]))]));

async function start() {
  await imageColumns();
  texts = columns.name.map((name, i) => `${columns.folder[i]}/${name} ${columns.note[i]}`.toLowerCase());
  search();
}

start();
