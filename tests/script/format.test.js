import assert from "node:assert/strict";
import { test } from "node:test";
import { article, percent } from "../../vit/ui/script/format.js";

test("a share below a tenth has one decimal, another none, and as many as asked for", () => {
  assert.deepEqual([0, 0.0314, 0.0994, 0.0995, 0.5, 1].map((share) => percent(share)), ["0.0%", "3.1%", "9.9%", "10%", "50%", "100%"]);
  assert.equal(percent(0.5, 1), "50.0%");
});

test("a vowel takes an", () => {
  assert.deepEqual(["airplane", "cat"].map(article), ["an airplane", "a cat"]);
});
