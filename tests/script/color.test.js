import assert from "node:assert/strict";
import { test } from "node:test";
import { colorTable, fromHex, pack, step } from "../../vit/ui/script/color.js";

test("a packed color's bytes are red, green, blue and an opaque alpha", () => {
  for (const rgb of [[0, 0, 0], [255, 255, 255], [1, 2, 3], [200, 100, 50]]) {
    assert.deepEqual([...new Uint8Array(Uint32Array.of(pack(...rgb)).buffer)], [...rgb, 255]);
  }
});

test("a color from hexadecimal is the color from its numbers", () => {
  assert.equal(fromHex("#4e79a7"), pack(0x4e, 0x79, 0xa7));
});

test("a table holds the triples of its bytes in their order", () => {
  const rgb = Uint8Array.from({ length: 768 }, (_, i) => i * 7 % 256);
  const table = colorTable(Buffer.from(rgb).toString("base64"));
  assert.equal(table.length, 256);
  assert.deepEqual([...new Uint8Array(table.buffer)].filter((_, i) => i % 4 < 3), [...rgb]);
});

test("steps grow with the weight from 0 to 255, and stay there above the top", () => {
  const steps = Array.from({ length: 201 }, (_, i) => step(i / 1000, 0.1));
  assert.deepEqual([steps[0], steps[50], steps[100], steps[200]], [0, 128, 255, 255]);
  assert.ok(steps.every((value, i) => !i || value >= steps[i - 1]));
});
