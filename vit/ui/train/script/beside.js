// The maps of several runs side by side, each at its last moment up to the same time of training.
import { paint } from "../../script/canvas.js";
import { unpack } from "./moments.js";
import { shades } from "./shades.js";
import { wordsOf } from "./tell.js";
import { tiles } from "./tiles.js";

const AT_ONCE = 8; // moments that are asked for together

const shown = ({ runs, ticked }) => runs.filter(({ id, moments }) => ticked.has(id) && moments.length);
const keyOf = (run, moment) => `${run.id} ${moment.id}`;

// The last of the moments up to a time, in seconds of training.
export const upTo = (moments, seconds) => moments[Math.max(0, moments.findLastIndex((moment) => moment.seconds <= seconds))];

// Asks for what is missing of the runs that are ticked, unless somebody does already.
export async function fetchAll(comparing, draw) {
  const { held, server } = comparing;
  if (comparing.fetching) return;
  comparing.fetching = true;
  try {
    for (;;) {
      const run = shown(comparing).find((one) => one.moments.some((moment) => !held.has(keyOf(one, moment))));
      if (!run || shown(comparing).length < 2) return;
      const wanted = run.moments.filter((moment) => !held.has(keyOf(run, moment))).slice(-AT_ONCE);
      const got = await server.fetch(run.id, wanted.map(({ id }) => id)).catch(() => null);
      if (!got) return; // the server is away; the next tick asks again
      for (const moment of wanted) held.set(keyOf(run, moment), null); // what was thinned out meanwhile
      for (const moment of got) held.set(keyOf(run, moment), unpack(moment));
      draw();
    }
  } finally { comparing.fetching = false; }
}

export function drawBeside(comparing) {
  const { $ } = comparing, beside = shown(comparing);
  $(".r-beside").hidden = beside.length < 2;
  if (beside.length < 2) return;
  const end = Math.max(...beside.map(({ moments }) => moments.at(-1).seconds)), seconds = end * $(".r-when").value / 1000;
  $(".r-time").textContent = `After ${Math.round(seconds)} s`;
  $(".r-runs").replaceChildren(...beside.map((run) => figureOf(comparing, run, upTo(run.moments, seconds))));
}

function figureOf(comparing, run, moment) {
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  const name = Object.assign(document.createElement("b"), { textContent: run.name });
  name.style.borderColor = run.color;
  caption.append(name, ` ${wordsOf(moment)}`);
  const row = document.createElement("div");
  row.append(...run.pictures.map((src, p) => Object.assign(new Image(), { src, alt: run.classes[run.labels[p]] })));
  figure.append(caption, row);
  const parts = comparing.held.get(keyOf(run, moment));
  if (parts) figure.append(canvasOf(comparing, run, parts));
  return figure;
}

// All heads of a layer, a row a head; a model of fewer layers shows its last.
function canvasOf(comparing, { tokens, top }, { maps, shapes }) {
  const { $, table } = comparing, [P, L, heads, h, w] = shapes.maps, slider = $(".r-layer");
  slider.max = Math.max(slider.max, L);
  if (!comparing.layer) slider.value = comparing.layer = L;
  const layer = Math.min(comparing.layer, L), colors = shades(table, top * tokens / (h * w), false);
  $(".r-layer-out").textContent = comparing.layer;
  const at = (tile, j, i) => ((((tile % P) * L + layer - 1) * heads + Math.floor(tile / P)) * h + j) * w + i;
  const { width, height, pixels } = tiles(P * heads, P, h, w, (tile, j, i) => colors[maps[at(tile, j, i)]]);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${heads} heads of layer ${layer} of ${L}, a row each, over the ${P} pictures`);
  paint(canvas, width, height, pixels);
  return canvas;
}
