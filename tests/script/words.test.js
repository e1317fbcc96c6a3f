import assert from "node:assert/strict";
import { test } from "node:test";
import { column, spread } from "../../vit/ui/attention/script/words.js";

const view = { h: 4, w: 4, P: 16, heads: 3, size: { width: 32, height: 32 } };

test("uniform weights have entropy ln P and lie as far away as evenly spread ones", () => {
  const { distance, even, entropy } = spread(view, new Float64Array(16).fill(0.02), 5);
  assert.ok(Math.abs(entropy - Math.log(16)) < 1e-12 && Math.abs(distance - even) < 1e-12 && even > 0);
});

test("all weight on one patch has entropy 0 and that patch's distance, in pixels", () => {
  const map = new Float64Array(16);
  map[15] = 0.3;
  const { distance, entropy, peak } = spread(view, map, 0);
  assert.ok(Math.abs(distance - 8 * Math.hypot(3, 3)) < 1e-12);
  assert.deepEqual([Math.abs(entropy), peak], [0, 15]);
  assert.equal(spread(view, map, 15).distance, 0);
});

test("after the heads come their mean and the rollout", () => {
  const columns = ["head", "mean", "rollout"].map((source) => column({ view, state: { head: 1, source } }));
  assert.deepEqual(columns, [1, 3, 4]);
});
