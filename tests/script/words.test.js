import assert from "node:assert/strict";
import { test } from "node:test";
import { column, evenDistance, numbersOf, sentence } from "../../vit/ui/attention/script/words.js";

const [L, heads, h, w] = [2, 3, 4, 4], P = h * w, size = 2 * L * (heads + 2) * P;
const view = {
  L, heads, h, w, P, tokens: P + 1, layers: ["Layer 1", "Layer 2"], readout: false, pool: 1, size: { width: 32, height: 32 }, reach: [0.5, 0.9], unread: "Nothing reads this.",
  patches: Float32Array.from({ length: 4 * size }, (_, i) => i < 3 * size ? i : i % P), // each number says where it stands
  sentences: { to: [["a"], ["b"]], by: [["c"], ["d"]] },
};
const chosen = { source: "head", head: 0, query: -1, layer: 0, direction: "to" };

test("after the heads come their mean and the rollout", () => {
  const columns = ["head", "mean", "rollout"].map((source) => column({ view, state: { head: 1, source } }));
  assert.deepEqual(columns, [1, 3, 4]);
});

test("evenly spread weights lie as far away as the other patches do on average", () => {
  const expected = Array.from({ length: P }, (_, i) => 8 * Math.hypot(Math.floor(i / w) - 1, i % w - 1)).reduce((a, b) => a + b) / P;
  assert.ok(Math.abs(evenDistance(view, 5) - expected) < 1e-12);
});

test("a patch's numbers are those of its direction, layer, view and place, four parts one after the other", () => {
  for (const [direction, d] of [["to", 0], ["by", 1]]) for (let layer = 0; layer < L; layer++) for (let at = 0; at < heads + 2; at++) {
    const place = ((d * L + layer) * (heads + 2) + at) * P + 7;
    assert.deepEqual(numbersOf(view, { layer, query: 7, direction }, at), { distance: place, entropy: size + place, peak: 2 * size + place, where: 7 });
  }
});

test("the sentence follows the direction, and says where nothing reads the map", () => {
  const say = (changes, other = {}) => sentence({ view: { ...view, ...other }, state: { ...chosen, ...changes } });
  assert.equal(say({}), "Layer 1, head 1. a");
  assert.equal(say({ direction: "by", layer: 1 }), "Layer 2, head 1. d");
  assert.match(say({ query: 3 }), /^Layer 1, head 1\. The patch in row 1, column 4 looks .* of 17 tokens; .* itself, /);
  assert.match(say({ query: 3, direction: "by" }), /What attends to the patch in row 1, column 4 lies .* of 16 patches;/);
  assert.match(say({ query: 3, layer: 1 }), /^Layer 2, head 1\. Nothing reads this\. The patch/);
  const readout = { layers: ["Layer 1", "Read-out"], readout: true, unread: "No patch asks here." };
  assert.equal(say({ query: 3, layer: 1 }, readout), "Read-out, head 1. No patch asks here.");
  assert.match(say({ layer: 1, source: "rollout" }, readout), /^Rollout to the read-out\. /);
  assert.match(say({ query: 3 }, readout), /^Layer 1, head 1\. The patch in/);
  assert.match(say({ query: 3 }, { patches: null, pool: 2 }), /too many patches/);
});
