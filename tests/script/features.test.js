import assert from "node:assert/strict";
import { test } from "node:test";
import { colorsOf, similarities } from "../../vit/ui/attention/script/features.js";

const P = 3, count = 2;

test("cosines are products of coordinates, of the layer that is asked for", () => {
  const coordinates = [[1, 0], [0.6, 0.8], [-1, 0], [0, 1], [0, 1], [0, -1]].flat();
  const vectors = Uint8Array.from(coordinates, (x) => Math.round(127 * x) + 128);
  const near = (layer, patch, expected) => similarities({ vectors, count }, P, layer, patch)
    .forEach((cosine, i) => assert.ok(Math.abs(cosine - expected[i]) < 0.01, `${cosine}, not ${expected[i]}`));
  near(0, 0, [1, 0.6, -1]);
  near(0, 1, [0.6, 1, -0.6]);
  near(1, 2, [-1, -1, 1]);
});

test("colors are packed red, green, blue, and opaque", () => {
  const rgb = Uint8Array.from([1, 2, 3, 0, 0, 0, 255, 255, 255, 9, 8, 7, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...colorsOf({ rgb }, P, 0)], [0xff030201, 0xff000000, 0xffffffff]);
  assert.equal(colorsOf({ rgb }, P, 1)[0], 0xff070809);
});
