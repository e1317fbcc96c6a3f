import assert from "node:assert/strict";
import { test } from "node:test";
import { blend } from "../../vit/ui/script/blend.js";
import { pack } from "../../vit/ui/script/color.js";

const picture = { size: { width: 4, height: 6 }, gray: Float32Array.from({ length: 24 }, (_, i) => 10 * i), h: 3, w: 2 };
const colors = Array.from({ length: 6 }, (_, patch) => pack(40 * patch, 255 - patch, 7));

test("at full strength each pixel has its patch's color, at none the picture's gray", () => {
  const full = blend(picture, (patch) => colors[patch], () => 1), none = blend(picture, (patch) => colors[patch], () => 0);
  for (let y = 0; y < 6; y++) for (let x = 0; x < 4; x++) {
    assert.equal(full[4 * y + x], colors[2 * Math.floor(y / 2) + Math.floor(x / 2)]);
    const gray = picture.gray[4 * y + x];
    assert.equal(none[4 * y + x], pack(gray, gray, gray));
  }
});

test("at half strength a channel lies in the middle", () => {
  const [first] = blend({ ...picture, gray: new Float32Array(24).fill(100) }, () => pack(200, 0, 50), () => 0.5);
  assert.equal(first, pack(150, 50, 75));
});
