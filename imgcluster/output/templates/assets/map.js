// The map: Bokeh draws and hit-tests, this page shows what was hit. Names are only ever set as text.
"use strict";

const CHOSEN_LIMIT = 200;
const layers = new Map(); // cluster number -> Bokeh renderer
let plot = null;

function thumbnailUrl(key) {
  return `thumbnails/${key.slice(0, 2)}/${key}.jpg`;
}

function rowOf(source, index) {
  return Object.fromEntries(Object.entries(source.data).map(([name, column]) => [name, column[index]]));
}

function tileOf(row) {
  const tile = document.createElement("a");
  tile.className = row.wrong ? "tile wrong" : "tile";
  tile.href = row.link;
  tile.title = row.path;
  tile.dataset.note = row.note;
  if (row.copy) tile.dataset.copy = row.copy;
  if (row.key) {
    const image = new Image(80, 80);
    image.loading = "lazy";
    image.alt = row.name;
    image.src = thumbnailUrl(row.key);
    tile.append(image);
  }
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = row.name;
  tile.append(name);
  const item = document.createElement("li");
  item.append(tile);
  return item;
}

function chosenRows() {
  const rows = [];
  for (const layer of layers.values()) {
    if (!layer.visible) continue;
    for (const index of layer.data_source.selected.indices) rows.push([layer.data_source, index]);
  }
  return rows;
}

// Bokeh dims the other points of a layer that has chosen ones; layers that have none are dimmed here.
function dimOthers(chosen) {
  for (const layer of layers.values()) {
    const dim = chosen && layer.data_source.selected.indices.length === 0;
    layer.glyph.fill_alpha = dim ? layer.nonselection_glyph.fill_alpha : layer.selection_glyph.fill_alpha;
  }
}

function listChosen() {
  const rows = chosenRows();
  dimOthers(rows.length > 0);
  const shown = rows.slice(0, CHOSEN_LIMIT);
  const count = rows.length.toLocaleString("en");
  document.getElementById("chosen-count").textContent =
    rows.length === 0 ? "none" : rows.length > shown.length ? `${shown.length} of ${count} listed` : count;
  document.getElementById("chosen-hint").hidden = rows.length > 0;
  document.getElementById("chosen-buttons").hidden = rows.length === 0;
  document.getElementById("chosen").replaceChildren(...shown.map(([source, index]) => tileOf(rowOf(source, index))));
}

// A selection touches every layer: list once, after the last.
function listSoon() {
  cancelAnimationFrame(listSoon.request);
  listSoon.request = requestAnimationFrame(listChosen);
}

function clearChosen() {
  for (const layer of layers.values()) layer.data_source.selected.indices = [];
  listSoon();
}

// --- what lies under the pointer -----------------------------------------------------------------------

const hover = document.getElementById("hover");
const inspected = new Map(); // source -> indices

function showHover() {
  const hit = [...layers.values()].find((layer) => layer.visible && inspected.get(layer.data_source)?.length);
  hover.hidden = !hit;
  if (!hit) return;
  const row = rowOf(hit.data_source, inspected.get(hit.data_source)[0]);
  const image = hover.querySelector("img");
  image.hidden = !row.key;
  if (row.key) image.src = thumbnailUrl(row.key);
  hover.querySelector(".name").textContent = row.name;
  hover.querySelector(".note").textContent = row.note;
}

function placeHover(event) {
  const box = document.querySelector(".plotside").getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  hover.style.left = `${x < box.width / 2 ? x + 16 : x - 16 - (hover.offsetWidth || 180)}px`;
  hover.style.top = `${y < box.height / 2 ? y + 16 : y - 16 - (hover.offsetHeight || 220)}px`;
}

// --- tools and legend -----------------------------------------------------------------------------------

function toolOf(type) {
  return plot.toolbar.tools.find((tool) => tool.type === type);
}

function setVisible(cluster, visible) {
  layers.get(cluster).visible = visible;
  document.querySelector(`[data-cluster="${cluster}"]`).setAttribute("aria-pressed", visible);
}

function onClick(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const { tool, action, cluster, legend, chosen } = button.dataset;
  if (tool) {
    toolOf(tool).active = true;
    for (const other of document.querySelectorAll("[data-tool]")) other.setAttribute("aria-pressed", other === button);
  } else if (action) {
    toolOf(action).do.emit();
  } else if (cluster) {
    setVisible(Number(cluster), !layers.get(Number(cluster)).visible);
    listSoon();
  } else if (legend) {
    for (const number of layers.keys()) setVisible(number, legend === "all");
    listSoon();
  } else if (chosen === "clear") {
    clearChosen();
  } else if (chosen === "copy") {
    const paths = chosenRows().map(([source, index]) => source.data.copy[index] || source.data.path[index]);
    copyText(paths.join("\n"), paths.length === 1 ? "Path" : `${paths.length} paths`);
  }
}

async function start() {
  Bokeh.set_log_level("error");
  await Bokeh.embed.embed_item(JSON.parse(document.getElementById("map-item").textContent));
  plot = Bokeh.documents[0].get_model_by_name("map");
  for (const layer of plot.renderers) {
    const source = layer.data_source;
    layers.set(Number(layer.name.slice("cluster-".length)), layer);
    source.selected.change.connect(listSoon);
    source.inspect.connect(() => {
      inspected.set(source, source.inspected.indices);
      showHover();
    });
  }
  const place = document.getElementById("map");
  place.addEventListener("pointermove", placeHover);
  place.addEventListener("pointerleave", () => { hover.hidden = true; });
  document.querySelector(".mapper").addEventListener("click", onClick);
  document.documentElement.dataset.ready = "yes";
}

start();
