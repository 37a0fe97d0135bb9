// The map: Bokeh draws and hit-tests, this page shows what was hit. Names are only ever set as text.
"use strict";

const CHOSEN_LIMIT = 200;
const layers = new Map(); // cluster number -> Bokeh renderer
let plot = null;

const imageAt = (layer, index) => columns.image[layer.data_source.data.row[index]];
const shownRow = (layer, index) => rowAt(layer.data_source.data.row[index]);
const visibleLayers = () => [...layers.values()].filter((layer) => layer.visible);

// Bokeh dims the other points of a layer that has chosen ones; layers that have none are dimmed here.
function dimOthers() {
  for (const layer of layers.values()) {
    const dim = state.chosen.size > 0 && layer.data_source.selected.indices.length === 0;
    layer.glyph.fill_alpha = dim ? layer.nonselection_glyph.fill_alpha : layer.selection_glyph.fill_alpha;
  }
}

// What Bokeh has selected, by a box, a lasso or a click, is chosen; a selection touches every layer: look after the last.
function takeSelection() {
  const [chosen, left] = [new Set(), new Set()];
  for (const layer of visibleLayers()) {
    const selected = new Set(layer.data_source.selected.indices);
    for (let index = 0; index < layer.data_source.data.row.length; index += 1) {
      const image = imageAt(layer, index);
      if (selected.has(index) !== state.chosen.has(image)) (selected.has(index) ? chosen : left).add(image);
    }
  }
  if (left.size) act("leave", [...left]);
  if (chosen.size) act("choose", [...chosen]);
}

function takeSelectionSoon() {
  cancelAnimationFrame(takeSelectionSoon.request);
  takeSelectionSoon.request = requestAnimationFrame(takeSelection);
}

function showChosen() {
  for (const layer of layers.values()) {
    const indices = [];
    layer.data_source.data.row.forEach((row, index) => { if (state.chosen.has(columns.image[row])) indices.push(index); });
    const { selected } = layer.data_source;
    if (String(indices) !== String(selected.indices)) selected.indices = indices; // each change draws anew
  }
  dimOthers();
  const images = [...state.chosen];
  const listed = images.slice(0, CHOSEN_LIMIT);
  const count = images.length.toLocaleString("en");
  document.getElementById("chosen-count").textContent =
    images.length === 0 ? "none" : images.length > listed.length ? `${listed.length} of ${count} listed` : count;
  document.getElementById("chosen-hint").hidden = images.length > 0;
  document.getElementById("chosen").replaceChildren(...listed.map((image) => tileOf(rowAt(image), 80)));
  for (const tile of document.querySelectorAll("#chosen a.tile")) showTile(tile);
}

// --- what lies under the pointer -----------------------------------------------------------------------

const hover = document.getElementById("hover");
const inspected = new Map(); // source -> indices

function showHover() {
  const hit = [...layers.values()].find((layer) => layer.visible && inspected.get(layer.data_source)?.length);
  showRow(hit && shownRow(hit, inspected.get(hit.data_source)[0]));
}

function showRow(row) {
  hover.hidden = !row;
  if (!row) return;
  const image = hover.querySelector("img");
  image.hidden = !row.thumbnail;
  if (row.thumbnail) image.src = thumbnailUrl(row.key);
  hover.querySelector(".name").textContent = row.name;
  hover.querySelector(".note").textContent = row.note;
}

function onPointer(event) {
  const box = place.getBoundingClientRect();
  const hit = pictureAt(event.clientX - box.left, event.clientY - box.top);
  if (hit) showRow(shownRow(hit.layer, hit.index));
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
    const { x, y, row } = layer.data_source.data;
    for (let index = 0; index < x.length; index += 1) {
      if (x[index] < across.start || x[index] > across.end || y[index] < up.start || y[index] > up.end) continue;
      found.push([layer, index, row[index]]);
      if (found.length > POINTS_WITH_PICTURES) return [];
    }
  }
  return found;
}

// The point that is nearest to the median of its layer: of two clouds, a place in one and not between them.
function middleOf({ x: xs, y: ys }) {
  const [x, y] = [xs, ys].map((values) => [...values].sort((a, b) => a - b)[values.length >> 1]);
  const far = Array.from(xs, (_, index) => Math.hypot(xs[index] - x, ys[index] - y));
  return far.indexOf(far.reduce((least, each) => Math.min(least, each), Infinity));
}

function drawOver() {
  over.replaceChildren();
  pictures = [];
  const hasRoom = withoutOverlap(SIDE + 2, SIDE + 2);
  for (const [layer, index, row] of pointsInView()) {
    const [x, y] = pointOf(layer, index);
    if (!columns.thumbnail[row] || !hasRoom([x, y])) continue;
    const picture = mark("picture", [x, y], "img");
    picture.alt = "";
    picture.src = thumbnailUrl(columns.key[row]);
    picture.style.borderColor = layer.glyph.fill_color.value ?? layer.glyph.fill_color;
    pictures.push({ layer, index, x, y });
  }
  const isFree = withoutOverlap(30, 22);
  const bySize = [...layers.entries()].sort(([, a], [, b]) => b.data_source.data.x.length - a.data_source.data.x.length);
  for (const [number, layer] of bySize) {
    if (!layer.visible) continue;
    layer.middle ??= middleOf(layer.data_source.data);
    const at = pointOf(layer, layer.middle);
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
    dimOthers();
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
  const row = shownRow(layer, index);
  const [x, y] = pointOf(layer, index);
  const box = place.getBoundingClientRect();
  showRow(row);
  placeHover(box.left + x, box.top + y);
  document.getElementById("at").textContent = `${row.name}, ${row.note}`;
  drawSoon();
}

function onKey(event) {
  const there = visibleLayers();
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
    Enter: () => index >= 0 && show(tileOf(shownRow(layer, index), 80).firstChild),
    " ": () => index >= 0 && toggle([imageAt(layer, index)]),
    "+": () => toolOf("ZoomInTool").do.emit(),
    "-": () => toolOf("ZoomOutTool").do.emit(),
    0: () => toolOf("ResetTool").do.emit(),
    Escape: () => { cursor = null; showRow(null); drawSoon(); },
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
}

// --- tools and legend -----------------------------------------------------------------------------------

function toolOf(type) {
  return plot.toolbar.tools.find((tool) => tool.type === type);
}

// What is hidden is not chosen, so that nothing happens to what nobody sees.
function setVisible(cluster, visible) {
  const layer = layers.get(cluster);
  layer.visible = visible;
  const chosen = layer.data_source.selected.indices.map((index) => imageAt(layer, index));
  if (!visible && chosen.length) act("leave", chosen);
  document.querySelector(`[data-cluster="${cluster}"]`).setAttribute("aria-pressed", visible);
  drawSoon();
}

function onClick(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const { tool, action, cluster, legend } = button.dataset;
  if (tool) {
    toolOf(tool).active = true;
    for (const other of document.querySelectorAll("[data-tool]")) other.setAttribute("aria-pressed", other === button);
  } else if (action) {
    toolOf(action).do.emit();
  } else if (cluster) {
    setVisible(Number(cluster), !layers.get(Number(cluster)).visible);
  } else if (legend) {
    for (const number of layers.keys()) setVisible(number, legend === "all");
  }
}

async function start() {
  Bokeh.set_log_level("error");
  await imageColumns();
  await Bokeh.embed.embed_item(JSON.parse(document.getElementById("map-item").textContent));
  plot = Bokeh.documents[0].get_model_by_name("map");
  for (const layer of plot.renderers) {
    const source = layer.data_source;
    layers.set(Number(layer.name.slice("cluster-".length)), layer);
    source.selected.change.connect(takeSelectionSoon);
    source.inspect.connect(() => {
      inspected.set(source, source.inspected.indices);
      showHover();
    });
  }
  place.addEventListener("pointermove", onPointer);
  place.addEventListener("pointerleave", () => { hover.hidden = true; });
  place.addEventListener("click", (event) => {
    const box = place.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const hit = pictureAt(x, y);
    // On the point itself, Bokeh has it.
    if (hit && Math.hypot(hit.x - x, hit.y - y) > hit.layer.glyph.size.value / 2 + 1) toggle([imageAt(hit.layer, hit.index)]);
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
  onChoices.push(showChosen);
  showChosen();
  drawSoon();
  document.documentElement.dataset.ready = "yes";
}

start();
