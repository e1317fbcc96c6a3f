// Step 1: pixels to tokens. A patch's numbers, the matrix's weights for one number of its token, and their sum.
import { dot, largest, part, signed } from "./numbers.js";
import { stage } from "./stage.js";
import { strip, diverging } from "./strip.js";
import { paint } from "../../script/canvas.js";
import { nameOf } from "../../script/patches.js";

const SIZES = [2, 4, 8, 16, 32], WRITTEN = 4; // pixels of a patch's side up to which its numbers are written out

export function build(lesson, figure, more) {
  const { view, state } = lesson, { w } = view, channels = view.mean.length;
  let number = -1;
  const chosen = () => Math.max(0, state.asker - view.prefix.length);
  const picture = stage(lesson, figure, { label: "The picture in patches", pick: (patch) => { lesson.change({ asker: view.prefix.length + patch }); } });
  figure.insertAdjacentHTML("beforeend", `<p class="v-note l-here"></p>`);
  more.innerHTML = `<section><h3>The patch</h3><div class="l-channels"></div></section>
    <section><h3>Its token</h3><div class="l-token"></div><div class="l-channels l-weights"></div><p class="l-sum"></p></section>
    <section><h3>Larger or smaller patches</h3><table class="l-table"></table></section>`;
  const $ = (name) => more.querySelector(name);
  const token = strip($(".l-token"), {
    label: () => `Its ${view.width} numbers, before its place is added`,
    pick: (index) => { number = index; lesson.complete("patches"); lesson.change({}); },
  });
  $(".l-table").innerHTML = sizes(view);

  return {
    question: question(view),
    async draw() {
      const patch = chosen(), pixels = pixelsOf(view, patch);
      picture.plain();
      picture.mark(patch);
      picture.reach(patch, view.reach);
      figure.querySelector(".l-here").textContent = `The patch in ${nameOf(view, patch)} of ${view.h} × ${w}.`;
      drawChannels($(".l-channels"), pixels, view.patch, ["red", "green", "blue"]);
      const found = await lesson.fetch("embedding");
      if (!found) return;
      const values = part(found.tokens, patch);
      token.draw(values, number);
      $(".l-weights").hidden = $(".l-sum").hidden = number < 0 || !found.weights;
      if (number < 0 || !found.weights) return;
      const weights = part(found.weights, number), bias = found.bias.data[number];
      drawChannels($(".l-weights"), weights, view.patch, ["weights for red", "for green", "for blue"]);
      $(".l-sum").textContent = `Number ${number + 1}: ${channels * view.patch ** 2} products of pixel and weight sum to `
        + `${signed(dot(weights, pixels))}; with the bias ${signed(bias)} that is ${signed(values[number])}.`;
    },
  };
}

// A patch's pixels as the model takes them, all of the first channel first.
function pixelsOf({ pixels, size, w, patch: side, mean, std }, patch) {
  const top = Math.floor(patch / w) * side, left = patch % w * side;
  return Float64Array.from({ length: mean.length * side * side }, (_, i) => {
    const channel = Math.floor(i / side ** 2), y = top + Math.floor(i / side) % side, x = left + i % side;
    return (pixels[4 * (y * size.width + x) + channel] / 255 - mean[channel]) / std[channel];
  });
}

// Each channel as a square of cells, with its numbers in it where there is room.
function drawChannels(host, numbers, side, names) {
  const top = largest(numbers);
  host.replaceChildren(...names.slice(0, numbers.length / side ** 2).map((name, channel) => {
    const own = numbers.subarray(channel * side ** 2, (channel + 1) * side ** 2), figure = document.createElement("figure");
    figure.innerHTML = `<div class="l-square"><canvas></canvas></div><figcaption></figcaption>`;
    figure.querySelector("figcaption").textContent = name;
    paint(figure.querySelector("canvas"), side, side, Uint32Array.from(own, (value) => diverging(value, top)));
    if (side > WRITTEN) return figure;
    const cells = figure.querySelector(".l-square");
    cells.style.setProperty("--side", side);
    cells.append(...Array.from(own, (value) => Object.assign(document.createElement("span"), { textContent: signed(value, 1) })));
    return figure;
  }));
}

function sizes(view) {
  const fitting = SIZES.filter((side) => view.size.width % side === 0 && side < view.size.width);
  const rows = [...new Set([...fitting, view.patch])].sort((a, b) => a - b).map((side) => {
    const tokens = (view.size.width / side) ** 2 + view.prefix.length, here = side === view.patch;
    return `<tr${here ? ` class="here"` : ""}><td>${side} × ${side} px${here ? ", here" : ""}</td><td>${tokens.toLocaleString("en")}</td><td>${(tokens ** 2).toLocaleString("en")}</td></tr>`;
  });
  return `<thead><tr><th>Patch</th><th>Tokens</th><th>Pairs that attention compares, in each head</th></tr></thead><tbody>${rows.join("")}</tbody>`;
}

function question(view) {
  const ratio = ((4 * view.P + view.prefix.length) / view.N) ** 2, options = [2, 4, 16];
  return {
    text: "With patches of half the side, how many times as many pairs of tokens must attention compare?",
    options: options.map((times) => `about ${times} times`),
    answer: async () => ({
      right: options.reduce((near, times, i) => Math.abs(times - ratio) < Math.abs(options[near] - ratio) ? i : near, 0),
      says: `${view.N.toLocaleString("en")} tokens become ${(4 * view.P + view.prefix.length).toLocaleString("en")}, and pairs ${ratio.toFixed(1)} times as many.`,
    }),
  };
}
