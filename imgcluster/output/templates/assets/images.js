// All images in one list: words narrow it, and it is put in order. What is chosen stands in the address.
"use strict";

const STEP = 200;
const columns = JSON.parse(document.getElementById("columns").textContent);
const total = (columns.name || []).length;
const [query, within, order] = ["query", "within", "order"].map((id) => document.getElementById(id));
const texts = Array.from({ length: total }, (_, i) =>
  `${columns.folder[i]}/${columns.name[i]} ${columns.note[i]}`.toLowerCase());
const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const orders = {
  cluster: (a, b) => a - b,
  name: (a, b) => names.compare(columns.name[a], columns.name[b]) || a - b,
  new: (a, b) => (columns.date[b] > columns.date[a]) - (columns.date[b] < columns.date[a]) || a - b,
  old: (a, b) => (columns.date[a] > columns.date[b]) - (columns.date[a] < columns.date[b]) || a - b,
};
let found = [];
let shown = 0;

function rowAt(index) {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[index]]));
}

function showMore() {
  const next = found.slice(shown, shown + STEP);
  document.getElementById("found").append(...next.map((index) => tileOf(rowAt(index), 160)));
  shown += next.length;
  document.getElementById("more").hidden = shown === found.length;
}

function search() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = Array.from({ length: total }, (_, i) => i).filter((i) =>
    (within.value === "" || columns.cluster[i] === Number(within.value)) && words.every((word) => texts[i].includes(word)));
  found.sort(orders[order.value]);
  shown = 0;
  document.getElementById("found").replaceChildren();
  showMore();
  const count = found.length.toLocaleString("en");
  document.getElementById("count").textContent =
    found.length === total ? `All ${count} images.` : `${count} of ${total.toLocaleString("en")} images.`;
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
search();
