import assert from "node:assert/strict";
import { test } from "node:test";
import { article, percent, shareOf } from "../../vit/ui/script/format.js";

test("a share below a tenth has one decimal, another none, and as many as asked for", () => {
  assert.deepEqual([0, 0.0314, 0.0994, 0.0995, 0.5, 1].map((share) => percent(share)), ["0.0%", "3.1%", "9.9%", "10%", "50%", "100%"]);
  assert.equal(percent(0.5, 1), "50.0%");
});

test("what a token gets of attention has as many digits whatever it is, so many that an even share has one that counts", () => {
  assert.deepEqual([0.5, 0.123, 1 / 65].map((share) => shareOf(share, 65)), ["50.0%", "12.3%", "1.5%"]);
  assert.deepEqual([0.5, 1 / 1370, 0].map((share) => shareOf(share, 1370)), ["50.00%", "0.07%", "0.00%"]);
});

test("a vowel takes an", () => {
  assert.deepEqual(["airplane", "cat"].map(article), ["an airplane", "a cat"]);
});
