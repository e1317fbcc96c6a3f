// The numbers that the server sends, and what is computed of them here: as torch does, in 64 bits.
import { inflate } from "../../script/bytes.js";

// What the server packed: {name: {shape, data}}, each data a Float32Array.
export async function unpack({ bytes, shapes, exact }) {
  const { buffer } = await inflate(bytes), arrays = {};
  let at = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const length = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { shape, data: exact ? new Float32Array(buffer, at, length) : halves(new Uint16Array(buffer, at, length)) };
    at += length * (exact ? 4 : 2);
  }
  return arrays;
}

// 16-bit floats (IEEE 754) to 32-bit ones.
export function halves(bits) {
  return Float32Array.from(bits, (half) => {
    const sign = half >> 15 ? -1 : 1, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * fraction / 1024);
  });
}

// A part of an array along its first dimensions, which are named by indices: no copy.
export function part({ shape, data }, ...indices) {
  let length = data.length, start = 0;
  indices.forEach((index, i) => { length /= shape[i]; start += index * length; });
  return data.subarray(start, start + length);
}

export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export function softmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity), shares = scores.map((score) => Math.exp(score - most));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / sum);
}

// A query asks all keys, one after the other in `keys`; the first `missing` tokens have none.
export function asking(query, keys, missing, divisor) {
  const d = query.length, count = keys.length / d;
  const products = new Float64Array(missing + count).fill(-Infinity);
  for (let i = 0; i < count; i++) products[missing + i] = dot(query, keys.subarray(i * d, (i + 1) * d));
  const scores = products.map((product) => product / divisor);
  return { products, scores, weights: softmax(scores) };
}

// The mean of values, one after the other, by weight.
export function mixed(weights, values) {
  const d = values.length / weights.length, sum = new Float64Array(d);
  weights.forEach((weight, i) => { for (let k = 0; k < d; k++) sum[k] += weight * values[i * d + k]; });
  return sum;
}

export const largest = (values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
export const best = (values) => values.reduce((top, value, i, all) => value > all[top] ? i : top, 0);

// A number as it stands in the lesson: two digits behind the point, a true minus.
export const signed = (value, digits = 2) => Number.isFinite(value) ? value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "") : "none";
