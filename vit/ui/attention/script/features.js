// What patches have in common, layer by layer: cosines to the patch that was pointed at last, and components as colors.
import { bytes } from "../../script/bytes.js";
import { paint } from "../../script/canvas.js";
import { pack } from "../../script/color.js";
import { percent } from "../../script/format.js";
import { paintMap } from "./draw.js";
import { middleOf, nameOf, patchAt } from "../../script/patches.js";

export function buildFeatures(tab) {
  const { $, answers: { features } } = tab;
  features.vectors = bytes(features.coordinates);
  features.rgb = bytes(features.colors);
  $(".x-alike").innerHTML = `<figure><canvas class="similar"></canvas><figcaption></figcaption></figure>
    <figure><canvas class="components"></canvas><figcaption></figcaption></figure>`;
  for (const canvas of $(".x-alike").querySelectorAll("canvas")) {
    for (const name of ["pointerdown", "pointermove"]) canvas.addEventListener(name, (event) => {
      features.patch = patchAt(tab.view, canvas, event);
      drawFeatures(tab);
    });
  }
  drawFeatures(tab);
}

// The layer follows the view's; a read-out has no patches of its own, so there it is the layer before.
export function drawFeatures(tab) {
  const { $, answers: { features }, state, view } = tab;
  if (!features?.vectors) return;
  const layer = Math.min(state.layer, features.shares.length - 1);
  const patch = features.patch ?? (state.query >= 0 ? state.query : middleOf(view));
  const map = similarities(features, view.P, layer, patch);
  paintMap(tab, $("canvas.similar"), map.map((cosine) => Math.max(0, cosine)), 1);
  paint($("canvas.components"), view.w, view.h, colorsOf(features, view.P, layer));
  const others = map.filter((_, i) => i !== patch), [least, most] = [Math.min(...others), Math.max(...others)];
  $("canvas.similar").nextElementSibling.textContent = `Layer ${layer + 1}: cosine of each patch's features to those of `
    + `${nameOf(view, patch)}, from 0 or less to 1${others.length ? `; of the other patches ${least.toFixed(2)} to ${most.toFixed(2)}` : ""}. `
    + `Rounded by at most ${(Math.ceil(100 * features.rounding) / 100).toFixed(2)}. Point at a picture, or tap it, for another patch.`;
  const [red, green, blue] = features.shares[layer].map((share) => percent(share));
  $("canvas.components").nextElementSibling.textContent = `Layer ${layer + 1}: the first three principal components as red, `
    + `green and blue, ${red}, ${green} and ${blue} of the patches' variance. Like colors are like features.`;
}

// Products of coordinates, which are cosines; a byte is 127 times a coordinate, plus 128.
export function similarities({ vectors, count }, P, layer, patch) {
  const at = (i) => (layer * P + i) * count, own = at(patch);
  return Float64Array.from({ length: P }, (_, i) => {
    let product = 0;
    for (let k = 0, other = at(i); k < count; k++) product += (vectors[own + k] - 128) * (vectors[other + k] - 128);
    return product / 127 ** 2;
  });
}

export function colorsOf({ rgb }, P, layer) {
  return Uint32Array.from({ length: P }, (_, i) => {
    const at = 3 * (layer * P + i);
    return pack(rgb[at], rgb[at + 1], rgb[at + 2]);
  });
}
