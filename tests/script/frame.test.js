import assert from "node:assert";
import test from "node:test";
import { fitted, moved } from "../../vit/ui/classify/script/frame.js";

const wide = { width: 400, height: 200 };

test("a frame that reaches out of the picture is moved into it, and is never too small", () => {
  assert.deepEqual(fitted([0.9, 0.5, 1], wide), [0.5, 0, 1]);
  assert.deepEqual(fitted([-1, -1, 0.5], wide), [0, 0, 0.5]);
  assert.deepEqual(fitted([0, 0, 0], wide), [0, 0, 0.05]);
  assert.deepEqual(fitted([0.2, 0.1, 2], wide), [0.2, 0, 1]);
});

test("arrows move it by as many pixels across as down, and plus and minus keep its middle", () => {
  const [left] = moved([0.3, 0.3, 0.4], "ArrowRight", wide), [, top] = moved([0.3, 0.3, 0.4], "ArrowDown", wide);
  assert.ok(Math.abs((left - 0.3) * wide.width - (top - 0.3) * wide.height) < 1e-9 && left > 0.3);
  const [x, y, side] = moved([0.3, 0.3, 0.4], "+", wide), short = wide.height;
  assert.ok(Math.abs(x * wide.width + side * short / 2 - (0.3 * wide.width + 0.4 * short / 2)) < 1e-9);
  assert.ok(Math.abs(y * wide.height + side * short / 2 - (0.3 * wide.height + 0.4 * short / 2)) < 1e-9 && side > 0.4);
  assert.equal(moved([0, 0, 1], "a", wide), undefined);
});
