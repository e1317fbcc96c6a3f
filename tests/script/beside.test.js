import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchAll, upTo } from "../../vit/ui/train/script/beside.js";

test("a run is shown at its last moment up to a time, and at its first before that", () => {
  const moments = [{ id: 0, seconds: 0.5 }, { id: 1, seconds: 2 }, { id: 2, seconds: 4 }];
  assert.deepEqual([0, 0.5, 3.9, 4, 99].map((seconds) => upTo(moments, seconds).id), [0, 0, 1, 2, 2]);
});

test("moments are asked for once, of the runs that are ticked, and only where there are two to compare", async () => {
  const asked = [], run = (id, count) => ({ id, moments: Array.from({ length: count }, (_, i) => ({ id: i })) });
  const server = { fetch: async (id, ids) => { asked.push([id, ids.length]); return []; } };
  const comparing = { held: new Map(), server, runs: [run("a", 10), run("b", 1), run("c", 1)], ticked: new Set(["a"]) };
  await fetchAll(comparing, () => {});
  assert.deepEqual(asked, []);
  comparing.ticked.add("b");
  await fetchAll(comparing, () => {});
  assert.deepEqual(asked, [["a", 8], ["a", 2], ["b", 1]]);
  await fetchAll(comparing, () => {});
  assert.equal(asked.length, 3);
});
