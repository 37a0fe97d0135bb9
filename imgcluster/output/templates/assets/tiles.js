// Images by their rows in the data of the report, and the tiles that show them. Names are only ever set as text.
"use strict";

function imageColumns() {
  imageColumns.loaded ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = document.getElementById("choices").dataset.columns;
    script.onload = () => done(columns);
    script.onerror = failed;
    document.head.append(script);
  });
  return imageColumns.loaded;
}

const rowAt = (index) => Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[index]]));

const thumbnailUrl = (key, end = "") => `thumbnails/${key.slice(0, 2)}/${key}${end}.jpg`;

function part(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

// A tile as the templates make it.
function tileOf(row, side) {
  const tile = document.createElement("a");
  tile.className = row.mark ? "tile wrong" : "tile";
  tile.href = row.link;
  tile.title = row.path;
  tile.dataset.note = row.note;
  tile.dataset.image = row.image;
  if (row.copy) tile.dataset.copy = row.copy;
  if (row.preview) tile.dataset.preview = thumbnailUrl(row.key, "-1200");
  if (row.thumbnail) {
    const image = new Image(side, side);
    image.loading = "lazy";
    image.alt = row.name;
    image.src = thumbnailUrl(row.key);
    tile.append(image);
  }
  tile.append(part("name", row.name), part("folder", row.folder));
  const item = document.createElement("li");
  item.append(tile);
  return item;
}
