import assert from "node:assert/strict";
import { test } from "node:test";
import { keep, unpack } from "../../vit/ui/train/script/moments.js";
import { wordsOf } from "../../vit/ui/train/script/tell.js";
import { tiles } from "../../vit/ui/train/script/tiles.js";

const shapes = { maps: [1, 2, 1, 1, 2], probabilities: [1, 3], positions: [1, 1, 2, 2], filters: [1, 3, 1, 1] };
const data = Buffer.from(Uint8Array.from({ length: 14 }, (_, i) => i)).toString("base64");

test("a moment's parts lie one after the other", () => {
  const parts = unpack({ data, shapes });
  assert.deepEqual([...parts.maps, ...parts.probabilities, ...parts.positions, ...parts.filters], Array.from({ length: 14 }, (_, i) => i));
  assert.deepEqual([parts.maps.length, parts.probabilities.length, parts.filters.length], [4, 3, 3]);
});

test("what came is kept and what was thinned out is forgotten", () => {
  const held = new Map([[1, {}], [2, null]]);
  keep({ held, view: { inline: [{ id: 3, data, shapes }], moments: [{ id: 2 }, { id: 3 }] } });
  assert.deepEqual([...held.keys()], [2, 3]);
  assert.equal(held.get(3).shapes, shapes);
});

test("tiles stand in rows with a transparent pixel between them", () => {
  const { width, height, pixels } = tiles(3, 2, 2, 3, (tile, j, i) => 100 * (tile + 1) + 10 * j + i);
  assert.deepEqual([width, height], [7, 5]);
  assert.deepEqual([...pixels], [
    100, 101, 102, 0, 200, 201, 202,
    110, 111, 112, 0, 210, 211, 212,
    0, 0, 0, 0, 0, 0, 0,
    300, 301, 302, 0, 0, 0, 0,
    310, 311, 312, 0, 0, 0, 0,
  ]);
});

test("a moment tells what is known of it", () => {
  assert.equal(wordsOf({ step: 0 }), "Step 0 · before training: weights at random");
  const moment = { step: 1200, epoch: 2.5, loss: 1.234, accuracy: 0.5, validation: null, lr: 0.00005 };
  assert.equal(wordsOf(moment), "Step 1,200 · epoch 2.50 · loss 1.23 · training 50.0% · rate 5.0e-5");
  assert.match(wordsOf({ ...moment, validation: 0.4 }), /validation 40\.0%/);
});
