// The map: Bokeh draws and hit-tests, this page shows what was hit. Names are only ever set as text.
"use strict";

const CHOSEN_LIMIT = 200;
const layers = new Map(); // cluster number -> Bokeh renderer
let plot = null;

function rowOf(source, index) {
  return Object.fromEntries(Object.entries(source.data).map(([name, column]) => [name, column[index]]));
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
  document.getElementById("chosen").replaceChildren(...shown.map(([source, index]) => tileOf(rowOf(source, index), 80)));
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
  showRow(hit && rowOf(hit.data_source, inspected.get(hit.data_source)[0]));
}

function showRow(row) {
  hover.hidden = !row;
  if (!row) return;
  const image = hover.querySelector("img");
  image.hidden = !row.key;
  if (row.key) image.src = thumbnailUrl(row.key);
  hover.querySelector(".name").textContent = row.name;
  hover.querySelector(".note").textContent = row.note;
}

function onPointer(event) {
  const box = place.getBoundingClientRect();
  const hit = pictureAt(event.clientX - box.left, event.clientY - box.top);
  if (hit) showRow(rowOf(hit.layer.data_source, hit.index));
  else if (onPointer.hit) showHover();
  onPointer.hit = hit;
  placeHover(event.clientX, event.clientY);
}

function placeHover(clientX, clientY) {
  const box = document.querySelector(".plotside").getBoundingClientRect();
  const [x, y] = [clientX - box.left, clientY - box.top];
  hover.style.left = `${x < box.width / 2 ? x + 16 : x - 16 - (hover.offsetWidth || 180)}px`;
  hover.style.top = `${y < box.height / 2 ? y + 16 : y - 16 - (hover.offsetHeight || 220)}px`;
}

// --- what lies over the points: names of groups, and pictures where there is room for them ----------------

const place = document.getElementById("map");
const over = document.getElementById("over");
const POINTS_WITH_PICTURES = 600;
const ZOOMED_IN = 0.75; // of the width that all points take
let fullWidth = 0;
const SIDE = 52;
let pictures = []; // { layer, index, x, y }
let cursor = null; // [layer, index]: where the keyboard is

function screenOf(x, y) {
  const frame = Bokeh.index.get_by_id(plot.id).frame;
  return [frame.x_scale.compute(x), frame.y_scale.compute(y)];
}

const pointOf = (layer, index) => screenOf(layer.data_source.data.x[index], layer.data_source.data.y[index]);

const isInView = ([x, y]) => x >= 0 && y >= 0 && x <= place.clientWidth && y <= place.clientHeight;

const pictureAt = (x, y) =>
  pictures.find((each) => Math.abs(each.x - x) <= SIDE / 2 && Math.abs(each.y - y) <= SIDE / 2);

function mark(kind, [x, y], element = "span") {
  const made = document.createElement(element);
  made.className = kind;
  made.style.left = `${x}px`;
  made.style.top = `${y}px`;
  over.append(made);
  return made;
}

// Takes places one after the other, and refuses those that would cover one that is taken.
function withoutOverlap(width, height) {
  const taken = new Map();
  return ([x, y]) => {
    const [column, row] = [Math.floor(x / width), Math.floor(y / height)];
    for (let i = column - 1; i <= column + 1; i += 1) {
      for (let j = row - 1; j <= row + 1; j += 1) {
        const other = taken.get(`${i},${j}`);
        if (other && Math.abs(other[0] - x) < width && Math.abs(other[1] - y) < height) return false;
      }
    }
    taken.set(`${column},${row}`, [x, y]);
    return true;
  };
}

function pointsInView() {
  const { x_range: across, y_range: up } = plot;
  const found = [];
  if (across.end - across.start > ZOOMED_IN * fullWidth) return found;
  for (const layer of layers.values()) {
    if (!layer.visible) continue;
    const { x, y, key } = layer.data_source.data;
    for (let index = 0; index < x.length; index += 1) {
      if (x[index] < across.start || x[index] > across.end || y[index] < up.start || y[index] > up.end) continue;
      found.push([layer, index, key[index]]);
      if (found.length > POINTS_WITH_PICTURES) return [];
    }
  }
  return found;
}

function drawOver() {
  over.replaceChildren();
  pictures = [];
  const hasRoom = withoutOverlap(SIDE + 2, SIDE + 2);
  for (const [layer, index, key] of pointsInView()) {
    const [x, y] = pointOf(layer, index);
    if (!key || !hasRoom([x, y])) continue;
    const picture = mark("picture", [x, y], "img");
    picture.alt = "";
    picture.src = thumbnailUrl(key);
    picture.style.borderColor = layer.glyph.fill_color.value ?? layer.glyph.fill_color;
    pictures.push({ layer, index, x, y });
  }
  const isFree = withoutOverlap(30, 22);
  const bySize = [...layers.entries()].sort(([, a], [, b]) => b.data_source.data.x.length - a.data_source.data.x.length);
  for (const [number, layer] of bySize) {
    if (!layer.visible) continue;
    layer.middle ??= ["x", "y"].map((axis) => [...layer.data_source.data[axis]].sort((a, b) => a - b));
    const at = screenOf(...layer.middle.map((values) => values[values.length >> 1]));
    if (!isInView(at) || !isFree(at)) continue;
    mark("groupname", at).textContent = document.querySelector(`[data-cluster="${number}"]`).dataset.label;
  }
  if (cursor && cursor[0].visible) mark("ring", pointOf(...cursor));
}

function drawSoon() {
  cancelAnimationFrame(drawSoon.request);
  drawSoon.request = requestAnimationFrame(drawOver);
}

function light(cluster) {
  if (cluster === null) {
    dimOthers(chosenRows().length > 0);
    return;
  }
  for (const [number, layer] of layers) {
    layer.glyph.fill_alpha = number === cluster ? 1 : layer.nonselection_glyph.fill_alpha;
  }
}

// --- the keyboard goes from point to point, through one cluster after the other -----------------------------

function moveTo(layer, index) {
  cursor = [layer, index];
  const { x: xs, y: ys } = layer.data_source.data;
  for (const [range, value] of [[plot.x_range, xs[index]], [plot.y_range, ys[index]]]) {
    if (value >= range.start && value <= range.end) continue;
    const half = (range.end - range.start) / 2;
    range.setv({ start: value - half, end: value + half });
  }
  const row = rowOf(layer.data_source, index);
  const [x, y] = pointOf(layer, index);
  const box = place.getBoundingClientRect();
  showRow(row);
  placeHover(box.left + x, box.top + y);
  document.getElementById("at").textContent = `${row.name}, ${row.note}`;
  drawSoon();
}

function onKey(event) {
  const there = [...layers.values()].filter((layer) => layer.visible);
  if (!there.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const last = (layer) => layer.data_source.data.x.length - 1;
  if (!cursor || !cursor[0].visible) cursor = [there[0], -1];
  const [layer, index] = cursor;
  const at = there.indexOf(layer);
  const [before, after] = [there.at(at - 1), there[(at + 1) % there.length]];
  const moves = {
    ArrowRight: () => (index < last(layer) ? moveTo(layer, index + 1) : moveTo(after, 0)),
    ArrowLeft: () => (index > 0 ? moveTo(layer, index - 1) : moveTo(before, last(before))),
    ArrowDown: () => moveTo(index < 0 ? layer : after, 0),
    ArrowUp: () => moveTo(before, 0),
    Home: () => moveTo(there[0], 0),
    End: () => moveTo(there.at(-1), last(there.at(-1))),
    Enter: () => index >= 0 && show(tileOf(rowOf(layer.data_source, index), 80).firstChild),
    " ": () => index >= 0 && choose(layer, index, true),
    "+": () => toolOf("ZoomInTool").do.emit(),
    "-": () => toolOf("ZoomOutTool").do.emit(),
    0: () => toolOf("ResetTool").do.emit(),
    Escape: () => { cursor = null; showRow(null); drawSoon(); },
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
}

function choose(layer, index, more) {
  if (!more) clearChosen();
  const { selected } = layer.data_source;
  const others = selected.indices.filter((each) => each !== index);
  selected.indices = more && others.length < selected.indices.length ? others : [...others, index];
  listSoon();
}

// --- tools and legend -----------------------------------------------------------------------------------

function toolOf(type) {
  return plot.toolbar.tools.find((tool) => tool.type === type);
}

function setVisible(cluster, visible) {
  layers.get(cluster).visible = visible;
  document.querySelector(`[data-cluster="${cluster}"]`).setAttribute("aria-pressed", visible);
  drawSoon();
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
  place.addEventListener("pointermove", onPointer);
  place.addEventListener("pointerleave", () => { hover.hidden = true; });
  place.addEventListener("click", (event) => {
    const box = place.getBoundingClientRect();
    const hit = pictureAt(event.clientX - box.left, event.clientY - box.top);
    if (hit && !chosenRows().length) choose(hit.layer, hit.index, false);
  });
  place.addEventListener("keydown", onKey);
  place.addEventListener("blur", () => { if (!viewer.open) showRow(null); });
  for (const range of [plot.x_range, plot.y_range]) range.change.connect(drawSoon);
  new ResizeObserver(drawSoon).observe(place);
  for (const button of document.querySelectorAll("[data-cluster]")) {
    for (const kind of ["mouseenter", "focus"]) button.addEventListener(kind, () => light(Number(button.dataset.cluster)));
    for (const kind of ["mouseleave", "blur"]) button.addEventListener(kind, () => light(null));
  }
  document.querySelector(".mapper").addEventListener("click", onClick);
  fullWidth = plot.x_range.end - plot.x_range.start;
  drawSoon();
  document.documentElement.dataset.ready = "yes";
}

start();
