// Colors as an image's pixels hold them: one number of four bytes, from the lowest red, green, blue and alpha.
import { bytes } from "./bytes.js";

export const pack = (red, green, blue) => (0xff000000 | blue << 16 | green << 8 | red) >>> 0;

// "#rrggbb", packed.
export const fromHex = (hex) => pack(...[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));

// 256 RGB triples in base64 to 256 packed colors.
export function colorTable(text) {
  const rgb = bytes(text);
  return Uint32Array.from({ length: 256 }, (_, i) => pack(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]));
}

// The same color, seen through: alpha from 0 to 255.
export const withAlpha = (color, alpha) => (color & 0xffffff | Math.round(alpha) << 24) >>> 0;

// Where a weight stands in such a table, whose end is at `top`.
export const step = (weight, top) => Math.min(255, Math.round(255 * weight / top));
