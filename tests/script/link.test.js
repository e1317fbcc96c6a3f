import assert from "node:assert/strict";
import { test } from "node:test";
import { followLink, linkOf } from "../../vit/ui/lesson/script/link.js";

const prefix = ["class token", "distillation token", "register 1"], steps = Array(7);
const view = { model: "shapes", picture: "shapes-17", prefix, steps, blocks: 3, heads: 4, readout: false, h: 2, w: 3 };

// The state that an address leads to.
function led(href) {
  const state = { step: 0, layer: 0, head: 0, asker: 4 };
  globalThis.location = new URL(href);
  followLink({ view, state });
  return state;
}

test("a step's link leads to its layer, head and whatever token asks", () => {
  globalThis.location = new URL("http://localhost:7860/?tab=train");
  for (let asker = 0; asker < prefix.length + 6; asker++) {
    const state = { step: 2, layer: 1, head: 3, asker };
    assert.deepEqual(led(linkOf({ view, state })), state);
  }
  const link = "http://localhost:7860/?tab=lesson&model=shapes&picture=shapes-17&step=3&layer=2&head=4";
  assert.deepEqual(led(link), { step: 2, layer: 1, head: 3, asker: 4 }); // as links were that named no token
  assert.equal(led(`${link}&query=register 2`).asker, 4);
});
