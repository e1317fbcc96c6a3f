// Attention as a ratio to the even share, on a scale whose middle is that share and whose ends are a quarter and 4 times.
import { withAlpha } from "../../script/color.js";

const ENDS = 2; // powers of two

// Where each of a byte's 256 values stands, from -1 to 1. most: the ratio of weight to even share that 255 stands for.
export const places = (most) => Float32Array.from({ length: 256 }, (_, byte) =>
  Math.max(-1, Math.min(1, Math.log2(Math.max(byte / 255 * most, 1e-9)) / ENDS)));

// The colors of the 256 values; over a picture they are the stronger the further from the even share.
export function shades(table, most, over) {
  return Uint32Array.from(places(most), (place) => {
    const color = table[Math.round(127.5 + 127.5 * place)];
    return over ? withAlpha(color, 225 * Math.abs(place)) : color;
  });
}

// A map in numbers, for those who can't see it: how much more than an even share its brightest patch gets, and where.
export function brightest(map, width, most) {
  const at = map.indexOf(Math.max(...map));
  return `most at row ${Math.floor(at / width) + 1}, column ${at % width + 1}, ${map[at] === 255 ? "at least " : ""}${(map[at] / 255 * most).toFixed(1)} times an even share`;
}
