// Maps of what is read, as the server packs them: a byte a patch, of its row's peak.
import { bytes } from "../../script/bytes.js";
import { paint } from "../../script/canvas.js";
import { step, withAlpha } from "../../script/color.js";

export function unpackLooks({ shape: [layers, heads, h, w], bytes: text, peaks }) {
  return { layers, heads, h, w, steps: bytes(text), peaks };
}

// Weights of a layer, a number a patch; head: from 0, or -1 for the mean of all.
export function mapOf({ heads, h, w, steps, peaks }, layer, head) {
  const map = new Float64Array(h * w), chosen = head < 0 ? Array.from({ length: heads }, (_, i) => i) : [head];
  for (const k of chosen) {
    const start = (layer * heads + k) * h * w, scale = peaks[layer][k] / 255 / chosen.length;
    for (let i = 0; i < h * w; i++) map[i] += steps[start + i] * scale;
  }
  return map;
}

// Over a picture: the color says how much, and where there is little the picture shows through.
export function drawLooks(canvas, looks, table, layer = looks.layers - 1, head = -1) {
  const map = mapOf(looks, layer, head), top = map.reduce((a, b) => Math.max(a, b), 1e-9);
  paint(canvas, looks.w, looks.h, Uint32Array.from(map, (weight) => {
    const place = step(weight, top);
    return withAlpha(table[place], 255 * (0.25 + 0.5 * place / 255));
  }));
}
