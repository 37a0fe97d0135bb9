// The large view of an image: opened by any thumbnail, walked through with the arrow keys.
"use strict";

const viewer = document.getElementById("viewer");
const picture = viewer.querySelector("img");
let current = null;

function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { said.textContent = ""; }, 2500);
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers give pages from disk no clipboard: copy a selection, the old way.
    const area = document.createElement("textarea");
    area.value = text;
    (viewer.open ? viewer : document.body).append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) { say("The browser did not allow copying."); return; }
  }
  say(`${what} copied`);
}

const pathOf = (tile) => tile.dataset.copy || tile.title;

function show(tile) {
  current = tile;
  picture.hidden = false;
  viewer.querySelector(".unshown").hidden = true;
  picture.alt = tile.querySelector(".name").textContent;
  picture.src = tile.dataset.preview || tile.href;
  viewer.querySelector(".path").textContent = tile.title;
  viewer.querySelector(".note").textContent = tile.dataset.note;
  viewer.querySelector("[data-do=open]").href = tile.href;
  const tiles = allTiles();
  const count = tiles.includes(tile) ? `${tiles.indexOf(tile) + 1} of ${tiles.length.toLocaleString("en")}` : "";
  viewer.querySelector("[data-count]").textContent = count;
  viewer.dispatchEvent(new Event("shown"));
  if (!viewer.open) viewer.showModal();
}

const allTiles = () => [...document.querySelectorAll("a.tile")];

function goTo(tile) {
  if (!tile) return;
  tile.scrollIntoView({ block: "nearest" });
  show(tile);
}

function step(by) {
  const tiles = allTiles();
  goTo(tiles[tiles.indexOf(current) + by]);
}

picture.addEventListener("error", () => {
  if (!picture.hasAttribute("src")) return;
  const thumbnail = current && current.querySelector("img");
  viewer.querySelector(".unshown").hidden = false;
  if (thumbnail && picture.src !== thumbnail.src) picture.src = thumbnail.src;
  else picture.hidden = true;
});

document.addEventListener("click", (event) => {
  const tile = event.target.closest("a.tile");
  if (!tile || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(tile);
});

viewer.addEventListener("click", (event) => {
  const what = event.target.dataset.do;
  if (what === "copy") copyText(pathOf(current), "Path");
  else if (what === "previous") step(-1);
  else if (what === "next") step(1);
  else if (what === "close" || event.target === viewer) viewer.close();
});

viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key === "Home") goTo(allTiles()[0]);
  else if (event.key === "End") goTo(allTiles().at(-1));
  else return;
  event.preventDefault();
});

// A swipe to the side goes on; with two fingers, or where the picture is zoomed in, it is none.
let touched = null;
viewer.addEventListener("touchstart", (event) => {
  touched = event.touches.length === 1 && window.visualViewport.scale < 1.01 ? event.touches[0] : null;
}, { passive: true });
viewer.addEventListener("touchend", (event) => {
  if (!touched) return;
  const [x, y] = ["clientX", "clientY"].map((name) => event.changedTouches[0][name] - touched[name]);
  touched = null;
  if (Math.abs(x) > 40 && Math.abs(x) > 2 * Math.abs(y)) step(x < 0 ? 1 : -1);
});

viewer.addEventListener("close", () => {
  picture.removeAttribute("src");
  if (current) current.focus();
});

// The list of clusters closes when one looks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});
