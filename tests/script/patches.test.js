import assert from "node:assert/strict";
import { test } from "node:test";
import { chooses, middleOf, nameOf, patchAt, patchBeside } from "../../vit/ui/script/patches.js";

const view = { h: 3, w: 5, P: 15, L: 2, askers: ["all patches, on average", "the read-out"] };
const canvas = { getBoundingClientRect: () => ({ left: 10, top: 20, width: 100, height: 30 }) };

test("the patch under a point is the one whose part of the canvas it lies in, and the nearest outside", () => {
  for (let patch = 0; patch < view.P; patch++) {
    const point = { clientX: 10 + 20 * (patch % 5) + 19.9, clientY: 20 + 10 * Math.floor(patch / 5) + 0.1 };
    assert.equal(patchAt(view, canvas, point), patch);
  }
  assert.equal(patchAt(view, canvas, { clientX: -50, clientY: -50 }), 0);
  assert.equal(patchAt(view, canvas, { clientX: 500, clientY: 500 }), 14);
});

test("an arrow key leads to the patch beside, and back; no further than the edge, and round no corner", () => {
  const back = { ArrowLeft: "ArrowRight", ArrowRight: "ArrowLeft", ArrowUp: "ArrowDown", ArrowDown: "ArrowUp" };
  let moved = 0;
  for (let patch = 0; patch < view.P; patch++) for (const key of Object.keys(back)) {
    const next = patchBeside(view, patch, key);
    const rows = Math.abs(Math.floor(next / 5) - Math.floor(patch / 5)), columns = Math.abs(next % 5 - patch % 5);
    assert.ok(next >= 0 && next < view.P && rows + columns <= 1);
    if (next === patch) continue;
    moved++;
    assert.equal(patchBeside(view, next, back[key]), patch);
  }
  assert.equal(moved, 2 * (3 * 4 + 2 * 5)); // each edge between two patches, both ways
});

test("from no patch a key leads to the middle; other keys lead nowhere", () => {
  assert.equal(patchBeside(view, -1, "ArrowUp"), middleOf(view));
  assert.equal(nameOf(view, middleOf(view)), "row 2, column 3");
  assert.deepEqual([nameOf(view, -1, 0), nameOf(view, -1, 1), nameOf(view, -1)], [...view.askers, "the read-out"]);
  assert.equal(patchBeside(view, 3, "Enter"), undefined);
});

test("a mouse chooses as it is pressed and dragged, a finger as it is lifted, as a swipe that scrolls never is", () => {
  const chosen = (pointerType, events) => events.filter(([type, buttons]) => chooses({ type, pointerType, buttons })).map(([type]) => type);
  const pressed = [["pointermove", 0], ["pointerdown", 1], ["pointermove", 1], ["pointerup", 0], ["pointermove", 0]];
  assert.deepEqual(chosen("mouse", pressed), ["pointerdown", "pointermove"]);
  assert.deepEqual(chosen("mouse", [["pointerdown", 2], ["pointermove", 2], ["pointerup", 1]]), []);
  assert.deepEqual(chosen("touch", pressed), ["pointerup"]);
  assert.deepEqual(chosen("touch", [["pointerdown", 1], ["pointermove", 1], ["pointercancel", 0]]), []);
});
