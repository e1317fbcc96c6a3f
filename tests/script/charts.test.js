import assert from "node:assert/strict";
import { test } from "node:test";
import { tell, x, y } from "../../vit/ui/attention/script/charts.js";

test("layers stand from left to right at even distances, and a single one in the middle", () => {
  const places = [0, 1, 2, 3].map((layer) => x(layer, 4));
  places.slice(1).forEach((place, i) => assert.ok(Math.abs(place - places[i] - (places[3] - places[0]) / 3) < 1e-9 && place > places[i]));
  assert.equal(x(0, 1), (places[0] + places[3]) / 2);
});

test("values stand the higher the larger, and no further than the scale", () => {
  assert.ok(y(0, 5) > y(1, 5) && y(1, 5) > y(5, 5));
  assert.equal(y(9, 5), y(5, 5));
  assert.equal(y(-1, 5), y(0, 5));
});

test("a number has its row's unit and digits, and none is a dash", () => {
  assert.equal(tell({ unit: "px", digits: 1 }, 12.345), "12.3 px");
  assert.equal(tell({ unit: "", digits: 2 }, 0.5), "0.50");
  assert.equal(tell({ unit: "%", digits: 1 }, 1 / 65), "1.5%");
  assert.equal(tell({ unit: "px", digits: 1 }, null), "–");
});
