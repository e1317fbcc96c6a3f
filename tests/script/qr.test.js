import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { correction, qr } from "../../vit/ui/script/qr.js";
import { watchLink } from "../../vit/ui/train/script/share.js";

const rows = (text, mask) => qr(text, mask).map((row) => row.map(Number).join("")).join("\n");
const hash = (text) => createHash("sha256").update(text).digest("hex").slice(0, 16);

// Of "a" as often as a version holds, and with 8 masks in turn: what the Python library qrcode 8.2 draws.
const DRAWN = [
  [14, 0, "c4ca3dbce7f742f8"], [11, 5, "4a325d14f21c8a20"], [26, 1, "35cf38f851022753"], [23, 6, "8e96e9018788d7df"],
  [42, 2, "d58dfd4a15246aa7"], [39, 7, "4f0aa985897ad758"], [62, 3, "46d66ed746cec722"], [59, 0, "f5255790f295f4fd"],
  [84, 4, "f9e9ea4b27274331"], [81, 1, "17c8a7f8f3d15bd6"], [106, 5, "edcdb73fd6cb663f"], [103, 2, "0cc86988a777dd81"],
  [122, 6, "6ac1f12a53b176bf"], [119, 3, "af55d376b71c663a"], [152, 7, "57a31dbc38ceeac5"], [149, 4, "7b20ddf84230522f"],
  [180, 0, "10544625b001c300"], [177, 5, "8d41f9f2a1c98a56"], [213, 1, "15c53ebe74e54b2f"], [210, 6, "967b9ac97b063f4f"],
];

test("each version is drawn as another library draws it, full and with padding", () => {
  for (const [length, mask, drawn] of DRAWN) assert.equal(hash(rows("a".repeat(length), mask)), drawn, `${length} bytes`);
});

test("bytes are UTF-8, and a text that is too long is refused", () => {
  assert.equal(hash(rows("ü".repeat(40), 3)), "ab9c869029d78b71");
  assert.equal(qr("a".repeat(213)).length, 57);
  assert.throws(() => qr("a".repeat(214)), /at most 213 bytes .* got 214/);
});

test("data with its correction is a multiple of the generator: all its powers of 2 are roots", () => {
  const product = (a, b) => { let sum = 0; for (; b; b >>= 1, a = a << 1 ^ (a > 127 ? 0x11d : 0)) if (b & 1) sum ^= a; return sum; };
  const data = Array.from({ length: 30 }, (_, i) => i * 7 % 256), code = [...data, ...correction(data, 16)];
  for (let i = 0, root = 1; i < 16; i++, root = product(root, 2)) {
    assert.equal(code.reduce((value, next) => product(value, root) ^ next, 0), 0);
  }
});

test("the mask that is chosen is one of the eight, and the same each time", () => {
  const all = Array.from({ length: 8 }, (_, mask) => rows("https://example.org/watch?run=abc", mask));
  assert.equal(new Set(all).size, 8);
  assert.ok(all.includes(rows("https://example.org/watch?run=abc")));
});

test("the page for watchers lies beside the page, wherever that is served", () => {
  const link = (pathname) => watchLink({ origin: "https://example.org", pathname }, "a-b_c");
  assert.equal(link("/"), "https://example.org/watch?run=a-b_c");
  assert.equal(link("/vit"), "https://example.org/vit/watch?run=a-b_c");
  assert.equal(link("/vit/"), "https://example.org/vit/watch?run=a-b_c");
});
