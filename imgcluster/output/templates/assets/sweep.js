// The sweep: pictures are decoded once into one atlas, so a step of the slider only draws. Names are set as text.
"use strict";

const SIDE = 56;
const GAP = 4;
const SVG = "http://www.w3.org/2000/svg";
const { colours, tiles, steps } = JSON.parse(document.getElementById("sweep-data").textContent);
const slider = document.getElementById("k");
const place = document.getElementById("groups");
const CELL = SIDE + GAP;
const across = Math.ceil(Math.sqrt(tiles.length));
const atlas = document.createElement("canvas");
atlas.width = atlas.height = across * SIDE;
const decoded = [];
const sections = [];
let at = 0;

const inAtlas = (tile) => [(tile % across) * SIDE, Math.floor(tile / across) * SIDE];
const colourOf = (group) => (group < 0 ? "#7a7f8c" : colours[group % colours.length]);

function membersOf(step) {
  const members = new Map();
  step.groups.forEach((group, tile) => {
    if (!members.has(group)) members.set(group, []);
    members.get(group).push(tile);
  });
  return [...members].sort((a, b) => (a[0] < 0) - (b[0] < 0) || a[0] - b[0]);
}

function titleOf(step, group) {
  if (group < 0) return "Unsorted";
  return step.names[group] ?? `Group ${group + 1}`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Each group is a box as high as its pictures need, with a canvas over the rows that are in view.
function makeSection() {
  const [section, heading, box, canvas] = ["section", "h2", "div", "canvas"].map((name) => document.createElement(name));
  section.append(heading, box);
  box.append(canvas);
  box.style.position = "relative";
  canvas.style.position = "absolute";
  const made = { section, heading, box, canvas, members: [], columns: 1, first: 0 };
  const under = (event) => {
    const column = Math.floor(event.offsetX / CELL);
    const row = made.first + Math.floor(event.offsetY / CELL);
    return column < made.columns ? made.members[row * made.columns + column] : undefined;
  };
  canvas.addEventListener("click", (event) => {
    const tile = under(event);
    if (tile !== undefined) window.open(tiles[tile][2], "_blank", "noopener");
  });
  canvas.addEventListener("pointermove", (event) => {
    const tile = under(event);
    canvas.title = tile === undefined ? "" : tiles[tile][1];
  });
  place.append(section);
  return made;
}

function lay(each, step, group, members, columns) {
  Object.assign(each, { members, columns, colour: colourOf(group) });
  each.heading.textContent = `${titleOf(step, group)} `;
  const count = document.createElement("small");
  count.textContent = members.length.toLocaleString("en");
  each.heading.append(count);
  each.section.style.borderLeft = `6px solid ${each.colour}`;
  each.section.style.paddingLeft = "8px";
  each.box.style.height = `${Math.ceil(members.length / columns) * CELL}px`;
}

function paint() {
  const seen = sections.filter((each) => !each.section.hidden).map((each) => [each, each.box.getBoundingClientRect()]);
  for (const [each, { top, height }] of seen) {
    const first = Math.max(0, Math.floor(-top / CELL) - 1);
    const last = Math.min(height / CELL, Math.ceil((window.innerHeight - top) / CELL) + 1);
    each.canvas.hidden = last <= first;
    if (last <= first) continue;
    each.first = first;
    each.canvas.style.top = `${first * CELL}px`;
    each.canvas.width = each.columns * CELL;
    each.canvas.height = (last - first) * CELL;
    const context = each.canvas.getContext("2d");
    context.fillStyle = each.colour;
    each.members.slice(first * each.columns, last * each.columns).forEach((tile, index) => {
      const [x, y] = [(index % each.columns) * CELL, Math.floor(index / each.columns) * CELL];
      if (decoded[tile]) context.drawImage(atlas, ...inAtlas(tile), SIDE, SIDE, x, y, SIDE, SIDE);
      else context.fillRect(x, y, SIDE, SIDE);
    });
  }
}

function show(index) {
  at = index;
  const step = steps[index];
  const groups = membersOf(step);
  while (sections.length < groups.length) sections.push(makeSection());
  const columns = Math.max(1, Math.floor((place.clientWidth - 14) / CELL));
  sections.forEach((each, number) => {
    each.section.hidden = number >= groups.length;
    if (number < groups.length) lay(each, step, ...groups[number], columns);
  });
  paint();
  document.getElementById("k-shown").textContent = step.k;
  document.getElementById("command").textContent = step.command;
  document.getElementById("measures").textContent = Object.entries(step.measures)
    .map(([name, value]) => `${name} ${value === null ? "not defined" : value.toFixed(3)}`)
    .join(" · ");
  for (const mark of document.querySelectorAll("[data-step]")) {
    mark.setAttribute("opacity", Number(mark.dataset.step) === index ? "1" : "0.45");
  }
}

function drawFlows() {
  const svg = document.getElementById("flows");
  const [width, height, bar] = [1000, 240, 14];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.width = "100%";
  svg.style.height = `${height}px`;
  const x = (index) => (steps.length < 2 ? 0 : (index * (width - bar)) / (steps.length - 1));
  const columns = steps.map((step) => {
    let y = 0;
    const groups = membersOf(step);
    const scale = (height - 3 * groups.length) / tiles.length;
    return new Map(groups.map(([group, members]) => {
      const node = { y, size: members.length * scale, scale, out: y, into: y };
      y += node.size + 3;
      return [group, node];
    }));
  });
  steps.slice(1).forEach((step, index) => {
    const flows = new Map();
    step.groups.forEach((group, tile) => {
      const key = `${steps[index].groups[tile]} ${group}`;
      flows.set(key, (flows.get(key) ?? 0) + 1);
    });
    for (const [key, count] of [...flows].sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true }))) {
      const [from, to] = key.split(" ").map(Number);
      const [a, b] = [columns[index].get(from), columns[index + 1].get(to)];
      const [x0, x1] = [x(index) + bar, x(index + 1)];
      const [middle, h0, h1] = [(x0 + x1) / 2, count * a.scale, count * b.scale];
      svg.append(element("path", {
        d: `M${x0} ${a.out}C${middle} ${a.out} ${middle} ${b.into} ${x1} ${b.into}v${h1}` +
           `C${middle} ${b.into + h1} ${middle} ${a.out + h0} ${x0} ${a.out + h0}z`,
        fill: colourOf(from), opacity: "0.25",
      }));
      a.out += h0;
      b.into += h1;
    }
  });
  steps.forEach((step, index) => {
    for (const [group, node] of columns[index]) {
      const box = element("rect", { x: x(index), y: node.y, width: bar, height: node.size, fill: colourOf(group), "data-step": index });
      const title = element("title", {});
      title.textContent = `k = ${step.k}: ${titleOf(step, group)}`;
      box.append(title);
      box.addEventListener("click", () => go(index));
      svg.append(box);
    }
  });
}

function drawCurves() {
  const svg = document.getElementById("curves");
  const [width, height] = [1000, 120];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.width = "100%";
  Object.keys(steps[0].measures).forEach((name, number) => {
    const values = steps.map((step) => step.measures[name]);
    const known = values.filter((value) => value !== null);
    if (!known.length) return;
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const points = values.flatMap((value, index) => value === null ? [] : [[
      10 + (index * (width - 20)) / Math.max(steps.length - 1, 1),
      height - 10 - ((value - low) / (high - low || 1)) * (height - 30), index,
    ]]);
    svg.append(element("polyline", {
      points: points.map((point) => point.slice(0, 2).join(",")).join(" "),
      fill: "none", stroke: colours[number], "stroke-width": 2,
    }));
    for (const [cx, cy, index] of points) svg.append(element("circle", { cx, cy, r: 4, fill: colours[number], "data-step": index }));
    const label = element("text", { x: 10 + number * 160, y: 12, fill: colours[number], "font-size": 13 });
    label.textContent = name;
    svg.append(label);
  });
}

function go(index) {
  slider.value = index;
  show(index);
}

async function load(tile) {
  if (!tiles[tile][0]) return;
  const image = new Image();
  image.src = tiles[tile][0];
  try {
    await image.decode();
  } catch {
    return; // shown as a patch of its group's colour
  }
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const [left, top] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
  atlas.getContext("2d").drawImage(image, left, top, side, side, ...inAtlas(tile), SIDE, SIDE);
  decoded[tile] = true;
}

async function start() {
  drawFlows();
  drawCurves();
  show(0);
  slider.addEventListener("input", () => show(Number(slider.value)));
  for (const button of document.querySelectorAll("[data-level]")) {
    button.addEventListener("click", () => go(Number(button.dataset.level)));
  }
  document.getElementById("copy-command").addEventListener("click", () => copyText(steps[at].command, "Command"));
  window.addEventListener("resize", () => show(at));
  window.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  const order = membersOf(steps[0]).flatMap(([, members]) => members);
  for (let first = 0; first < order.length; first += 64) {
    await Promise.all(order.slice(first, first + 64).map(load));
    if (first === 0) show(at);
  }
  show(at);
  document.documentElement.dataset.ready = "yes";
}

start();
