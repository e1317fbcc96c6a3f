// Maps to pixels.
import { paint } from "../../script/canvas.js";
import { step } from "../../script/color.js";
import { shareOf } from "../../script/format.js";
import { blend } from "../../script/blend.js";
import { chosenMap, largest, meanOfLayers, weights } from "./maps.js";

export const colors = ({ tables, $ }) => tables[$(".colormap").value];
const opacity = ({ $ }) => $(".opacity").value / 100;

// The end of the scale of a map.
export function topOf({ $, view }, map, source) {
  if ($(".own").checked) return largest(map);
  return source === "rollout" ? view.tops.rollout : view.tops.heads;
}

export function paintMap(tab, canvas, map, top) {
  const { P, w, h } = tab.view, table = colors(tab), pixels = new Uint32Array(P);
  for (let i = 0; i < P; i++) pixels[i] = table[step(map[i], top)];
  paint(canvas, w, h, pixels);
}

// Over the picture in gray, a packed color and a strength in 0 to 1 for each patch.
export function paintOver({ view }, canvas, shade, strength) {
  paint(canvas, view.size.width, view.size.height, blend(view, shade, strength));
}

// Where there is little weight the picture shows through.
export function paintOverlay(tab, canvas, map, top) {
  const table = colors(tab), steps = Array.from(map, (weight) => step(weight, top)), most = opacity(tab);
  paintOver(tab, canvas, (patch) => table[steps[patch]], (patch) => most * (0.4 + 0.6 * steps[patch] / 255));
}

// Draws the input once, and keeps its luma (ITU-R BT.601).
export async function readPicture(canvas, source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const { width, height } = image;
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const gray = Float32Array.from({ length: width * height }, (_, i) =>
    0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  return { size: { width, height }, gray };
}

export function drawStage(tab) {
  const { $, state, view } = tab, map = chosenMap(tab), top = topOf(tab, map, state.source);
  paintMap(tab, $("canvas.map"), map, top);
  paintOverlay(tab, $("canvas.overlay"), map, top);
  $(".half").textContent = shareOf(top / 2, view.tokens);
  $(".top").textContent = ($(".own").checked ? "" : "≥ ") + shareOf(top, view.tokens);
}

export function drawBar(tab) {
  paint(tab.$("canvas.bar"), 256, 1, colors(tab));
}

export function drawGrid(tab) {
  for (const cell of tab.$$(".x-cell")) {
    const map = weights(tab, +cell.dataset.layer, "head", +cell.dataset.head);
    paintMap(tab, cell.firstChild, map, topOf(tab, map, "head"));
  }
}

export function drawComparison(tab) {
  const { $, state, view } = tab, n = view.comparison.layers;
  const asked = view.L - (view.readout && state.query >= 0 ? 1 : 0); // no patch asks a read-out
  for (const [name, first] of [["early", 0], ["late", view.L - n]]) {
    const map = meanOfLayers(tab, first, Math.min(first + n, asked));
    paintOverlay(tab, $(`canvas.${name}`), map, topOf(tab, map, "head"));
  }
}
