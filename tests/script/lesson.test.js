import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { asking, halves, mixed, part, signed, unpack } from "../../vit/ui/lesson/script/numbers.js";
import { wordsIn } from "../../vit/ui/script/glossary.js";

const packed = (typed, shapes, exact) => ({ bytes: deflateSync(Buffer.from(typed.buffer)).toString("base64"), shapes, exact });

test("arrays come one after the other, in 32 bits or in 16", async () => {
  const { a, b } = await unpack(packed(Float32Array.of(1, 2, 3, 4, 5, 6, 0.5), { a: [2, 3], b: [1] }, true));
  assert.deepEqual([...part(a, 1)], [4, 5, 6]);
  assert.deepEqual([...part(a, 1, 2)], [6]);
  assert.deepEqual([...b.data], [0.5]);
  const rounded = await unpack(packed(Uint16Array.of(0x3c00, 0xc000), { c: [2] }, false));
  assert.deepEqual([...rounded.c.data], [1, -2]);
});

test("16-bit floats are read as IEEE 754 has them", () => {
  const bits = Uint16Array.of(0, 0x8000, 0x3555, 0x7bff, 0x0001, 0x0400, 0x7c00, 0xfc00);
  const values = [0, -0, 0.333251953125, 65504, 2 ** -24, 2 ** -14, Infinity, -Infinity];
  assert.deepEqual([...halves(bits)], values);
  assert.ok(Number.isNaN(halves(Uint16Array.of(0x7e00))[0]));
});

test("a query that asks gets shares that sum to 1, and nothing of tokens without a key", () => {
  const { products, scores, weights } = asking([1, 2], Float64Array.of(1, 0, 0, 1, 3, 3), 1, 2);
  assert.deepEqual([...products], [-Infinity, 1, 2, 9]);
  assert.deepEqual([...scores], [-Infinity, 0.5, 1, 4.5]);
  assert.equal(weights[0], 0);
  assert.ok(Math.abs(weights.reduce((a, b) => a + b) - 1) < 1e-12);
  assert.ok(Math.abs(weights[2] / weights[1] - Math.exp(0.5)) < 1e-12);
  assert.deepEqual([...mixed([0.25, 0.75], Float64Array.of(4, 0, 8, 4))], [7, 3]);
});

test("a small divisor gives all to one token, a large one the same to all", () => {
  const keys = Float64Array.of(1, 2, 3, 2.5);
  assert.ok(Math.max(...asking([1], keys, 0, 0.01).weights) > 0.999);
  assert.ok(Math.max(...asking([1], keys, 0, 1e6).weights) < 0.2501);
});

test("numbers have a true minus, and zero has none", () => {
  assert.deepEqual([-1.234, 0, -0.001, 12].map((n) => signed(n)), ["−1.23", "0.00", "0.00", "12.00"]);
  assert.equal(signed(-Infinity), "none");
});

test("words are found whole, the longest form first, each once in a text", () => {
  const entries = [{ name: "token", forms: ["tokens"] }, { name: "class token", forms: [] }, { name: "read-out", forms: [] }];
  assert.deepEqual(wordsIn("Arrow keys move.", [{ name: "key", forms: ["keys"] }]), []);
  const text = "Tokens: the class token, one token more, tokenless, and the read-out.";
  const found = wordsIn(text, entries).map(([start, end, { name }]) => [text.slice(start, end), name]);
  assert.deepEqual(found, [["Tokens", "token"], ["class token", "class token"], ["read-out", "read-out"]]);
});
