import assert from "node:assert";
import test from "node:test";
import { mapOf, unpackLooks } from "../../vit/ui/classify/script/looks.js";

test("a head's map is its steps in 255ths of its peak, and the mean of heads is their mean", () => {
  const text = btoa(String.fromCharCode(255, 0, 51, 102, 0, 255, 255, 0));
  const looks = unpackLooks({ shape: [1, 2, 2, 2], bytes: text, peaks: [[0.5, 0.2]] });
  const [one, two, mean] = [0, 1, -1].map((head) => [...mapOf(looks, 0, head)]);
  assert.deepEqual(one.map((w) => +w.toFixed(6)), [0.5, 0, 0.1, 0.2]);
  assert.deepEqual(two.map((w) => +w.toFixed(6)), [0, 0.2, 0.2, 0]);
  assert.deepEqual(mean.map((w) => +w.toFixed(6)), [0.25, 0.1, 0.15, 0.1]);
});
