// From the table of a study to the head that a cell speaks of.
import assert from "node:assert/strict";
import test from "node:test";
import { showHead } from "../../vit/ui/attention/script/controls.js";

test("a cell leads to a head of its own model alone, and says so where another is chosen", () => {
  const line = { hidden: true, scrollIntoView() {} }, state = { layer: 0, head: 0 };
  showHead({ view: { model: "b", L: 3, heads: 4 }, state, $: () => line }, { show: "2.1", model: "a" });
  assert.deepEqual(state, { layer: 0, head: 0 });
  assert.match(line.textContent, /of another model: choose its model again/);
  assert.equal(line.hidden, false);
});
