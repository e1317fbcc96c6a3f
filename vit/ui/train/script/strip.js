// The strip: the pictures in a row, what the model says of each, and each head's map.
import { paint } from "../../script/canvas.js";
import { brightest, shades } from "./shades.js";

function make(tag, props, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

// The cells for these pictures and this many heads; drawMaps and drawPredictions fill them.
function buildStrip(forming, [P, L, heads]) {
  const { $, view } = forming, strip = $(".t-strip");
  forming.stale = false;
  strip.style.setProperty("--pictures", P);
  const cells = [make("span", { className: "t-row" })];
  view.pictures.forEach((src, p) => cells.push(make("img", { src, alt: view.classes[view.labels[p]] })));
  cells.push(make("span", { className: "t-row", textContent: "Says" }));
  view.pictures.forEach((_, p) => {
    const bars = view.classes.map((name, c) => make("i", {
      title: name, className: c === view.labels[p] ? "true" : "", style: `--color:${view.colors[c]}`,
    }));
    cells.push(make("div", { className: "t-says" }, make("div", { className: "t-bars" }, ...bars), make("small", {})));
  });
  for (let k = 0; k < heads; k++) {
    cells.push(make("span", { className: "t-row", textContent: `Head ${k + 1}` }));
    view.pictures.forEach((src) => {
      const canvas = make("canvas", { className: "map" });
      canvas.setAttribute("role", "img");
      canvas.style.setProperty("--picture", `url("${src}")`);
      cells.push(canvas);
    });
  }
  strip.replaceChildren(...cells);
  strip.dataset.heads = heads;
  $(".layer").max = L;
  if (!forming.layer || forming.layer > L) forming.layer = L;
  $(".layer").value = forming.layer;
  $(".t-legend").replaceChildren("Bars: ", ...view.classes.map((name, c) =>
    make("span", { textContent: name, style: `--color:${view.colors[c]}` })), " A dot marks the true one.");
  $(".t-layer").hidden = L < 2;
}

// most: the ratio to an even share that the largest byte stands for.
export function drawMaps(forming, { maps, shapes }, table, most) {
  const { $, $$, view } = forming, [P, L, heads, h, w] = shapes.maps, over = $(".over").checked;
  if (forming.stale || $(".t-strip").dataset.heads !== String(heads)) buildStrip(forming, shapes.maps);
  const canvases = $$("canvas.map"), colors = shades(table, most, over);
  $(".t-strip").classList.toggle("over", over);
  for (let k = 0; k < heads; k++) for (let p = 0; p < P; p++) {
    const start = ((p * L + forming.layer - 1) * heads + k) * h * w, map = maps.subarray(start, start + h * w);
    paint(canvases[k * P + p], w, h, Uint32Array.from(map, (weight) => colors[weight]));
    if (!forming.playing) {
      canvases[k * P + p].setAttribute("aria-label",
        `Head ${k + 1}, ${view.classes[view.labels[p]]}: ${brightest(map, w, most)}`);
    }
  }
}

export function drawPredictions({ $$, view }, { probabilities }) {
  const C = view.classes.length;
  $$(".t-says").forEach((cell, p) => {
    const shares = probabilities.subarray(p * C, (p + 1) * C);
    let best = 0;
    [...cell.querySelectorAll("i")].forEach((bar, c) => {
      bar.style.height = `${Math.max(3, shares[c] / 2.55)}%`;
      if (shares[c] > shares[best]) best = c;
    });
    const words = cell.querySelector("small");
    const right = best === view.labels[p];
    words.replaceChildren(make("b", { textContent: `${right ? "✓" : "✗"} ${Math.round(shares[best] / 2.55)}%` }),
      view.classes[best]);
    words.className = right ? "right" : "wrong";
    words.title = right ? "right" : `wrong: it is ${view.classes[view.labels[p]]}`;
  });
}
