// Maps to pixels.
const COLOURS = Object.fromEntries(Object.entries(GIVEN.colours).map(([name, text]) => {
  const rgb = bytes(text);
  return [name, Uint32Array.from({ length: 256 }, (_, i) =>
    0xff000000 | rgb[3 * i + 2] << 16 | rgb[3 * i + 1] << 8 | rgb[3 * i])];
}));

const colours = () => COLOURS[$(".colormap").value];
const step = (weight, top) => Math.min(255, Math.round(255 * weight / top));
const sharedTop = (source) => source === "rollout" ? view.tops.rollout : view.tops.heads;
const topOf = (map, source) => $(".own").checked ? largest(map) : sharedTop(source);

function paint(canvas, width, height, pixels) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
}

function paintMap(canvas, map, top) {
  const table = colours(), pixels = new Uint32Array(view.P);
  for (let i = 0; i < view.P; i++) pixels[i] = table[step(map[i], top)];
  paint(canvas, view.w, view.h, pixels);
}

// The picture in grey under the colours of `shade(patch)`, a packed colour; strength(patch) in 0 to 1.
function paintOver(canvas, shade, strength) {
  const { width, height } = view.size, pixels = new Uint32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y * view.h / height) * view.w;
    for (let x = 0; x < width; x++, i++) {
      const patch = row + Math.floor(x * view.w / width), colour = shade(patch), a = strength(patch);
      const grey = (1 - a) * view.grey[i];
      pixels[i] = 0xff000000 | (a * (colour >> 16 & 255) + grey) << 16
        | (a * (colour >> 8 & 255) + grey) << 8 | a * (colour & 255) + grey;
    }
  }
  paint(canvas, width, height, pixels);
}

// Where there is little weight the picture shows through.
function paintOverlay(canvas, map, top, opacity) {
  const table = colours(), steps = Array.from(map, (weight) => step(weight, top));
  paintOver(canvas, (patch) => table[steps[patch]], (patch) => opacity * (0.4 + 0.6 * steps[patch] / 255));
}

// Draws the input once, and keeps its luma (ITU-R BT.601).
async function readPicture(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = $("canvas.input"), { width, height } = image;
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const grey = Float32Array.from({ length: width * height }, (_, i) =>
    0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  return { size: { width, height }, grey };
}

function drawStage() {
  const map = chosenMap(), top = topOf(map, state.source), opacity = $(".opacity").value / 100;
  paintMap($("canvas.map"), map, top);
  paintOverlay($("canvas.overlay"), map, top, opacity);
  $(".half").textContent = percent(top / 2);
  $(".top").textContent = ($(".own").checked ? "" : "≥ ") + percent(top);
  return map;
}

function drawBar() {
  paint($("canvas.bar"), 256, 1, colours().slice());
}

function drawGrid() {
  for (const cell of $$(".x-cell")) {
    const map = weights(+cell.dataset.layer, "head", +cell.dataset.head);
    paintMap(cell.firstChild, map, topOf(map, "head"));
  }
}

function drawComparison() {
  const n = view.comparison.layers, opacity = $(".opacity").value / 100;
  for (const [name, first] of [["early", 0], ["late", view.L - n]]) {
    const map = meanOfLayers(first, first + n);
    paintOverlay($(`canvas.${name}`), map, topOf(map, "head"), opacity);
  }
}
