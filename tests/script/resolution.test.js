import assert from "node:assert/strict";
import { test } from "node:test";
import { told } from "../../vit/ui/attention/script/resolution.js";

const own = { size: 32, grid: [8, 8], answer: ["heart", 0.98] };

test("another size is told with both answers, the own one with what a choice does", () => {
  const now = { size: 48, grid: [12, 12], answer: ["star", 0.5] };
  assert.match(told(own, now, 3), /8 × 8 patches became 12 × 12.*at 32 px heart, 98\.0%; at 48 px star, 50\.0%\./);
  assert.match(told(own, own, 3), /learned positions for 8 × 8 patches at 32 px/);
  assert.match(told(own, own, 1), /^No other size/);
});

test("a model without a class head says nothing of classes", () => {
  assert.doesNotMatch(told({ ...own, answer: null }, { ...own, size: 48, answer: null }, 3), /says/);
});
