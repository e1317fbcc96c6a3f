// Position embeddings and first filters of a moment.
import { paint } from "../../script/canvas.js";
import { pack } from "../../script/color.js";
import { tiles } from "./tiles.js";

const gray = (value) => pack(value, value, value);

export function drawPositions({ $ }, { positions, shapes }) {
  const [rows, columns, h, w] = shapes.positions;
  const pixelAt = (tile, j, i) => gray(positions[(tile * h + j) * w + i]);
  const { width, height, pixels } = tiles(rows * columns, columns, h, w, pixelAt);
  paint($("canvas.positions"), width, height, pixels);
  $("canvas.positions").setAttribute("aria-label", `${rows * columns} maps of ${h} by ${w} places: how alike position embeddings are`);
}

export function drawFilters({ $ }, { filters, shapes }) {
  const [n, , h, w] = shapes.filters;
  const pixelAt = (tile, j, i) => pack(...[0, 1, 2].map((c) => filters[((tile * 3 + c) * h + j) * w + i]));
  const { width, height, pixels } = tiles(n, 8, h, w, pixelAt);
  paint($("canvas.filters"), width, height, pixels);
  $("canvas.filters").setAttribute("aria-label", `${n} filters of ${h} by ${w} pixels`);
}
