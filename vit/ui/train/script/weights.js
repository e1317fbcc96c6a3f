// Position embeddings and first filters of a moment.
import { paint } from "../../script/canvas.js";
import { pack } from "../../script/color.js";
import { tiles } from "./tiles.js";

export function drawPositions({ $, table }, { positions, shapes }) {
  const [rows, columns, h, w] = shapes.positions;
  const pixelAt = (tile, j, i) => table[positions[(tile * h + j) * w + i]];
  const { width, height, pixels } = tiles(rows * columns, columns, h, w, pixelAt);
  paint($("canvas.positions"), width, height, pixels);
}

export function drawFilters({ $ }, { filters, shapes }) {
  const [n, , h, w] = shapes.filters;
  const pixelAt = (tile, j, i) => pack(...[0, 1, 2].map((c) => filters[((tile * 3 + c) * h + j) * w + i]));
  const { width, height, pixels } = tiles(n, 8, h, w, pixelAt);
  paint($("canvas.filters"), width, height, pixels);
}
