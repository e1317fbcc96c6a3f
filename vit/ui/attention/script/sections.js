// The folded sections: each asks the server once for a picture, when it is opened.
import { bytes } from "../../script/bytes.js";
import { fromHex } from "../../script/color.js";
import { percent } from "../../script/format.js";
import { middleOf, nameOf, patchAt } from "../../script/patches.js";
import { ask } from "./ask.js";
import { coverMap, forgetCover } from "./cover.js";
import { paintMap, paintOver, paintOverlay } from "./draw.js";
import { buildFeatures } from "./features.js";
import { largest } from "./maps.js";
import { buildResolution } from "./resolution.js";

// What is there may be of the picture before: it stays, so that nothing jumps, but out of reach until there is an answer.
export async function openSection(tab, details) {
  const name = details.dataset.opens, { answers, view } = tab, body = details.querySelector("div");
  if (!details.open || !name || answers[name]) return;
  details.classList.add("busy");
  body.held ||= body.contains(document.activeElement); // out of reach it loses the focus
  body.inert = true;
  const answer = await ask(tab, name, name === "relevance" ? { classes: [...new Set(whyOf(tab))] } : {});
  if (tab.view !== view) return; // another picture came, and asks, too
  details.classList.remove("busy");
  body.inert = false;
  if (answer) {
    answers[name] = answer;
    ({ relevance: buildRelevance, lens: buildLens, weights: buildWeights, features: buildFeatures,
      resolution: buildResolution })[name](tab);
  } else body.replaceChildren();
  refocus(body);
}

// The focus comes back to what is chosen there, unless it went elsewhere since.
function refocus(body) {
  if (body.held && document.activeElement === document.body) body.querySelector("[aria-checked=true]")?.focus({ preventScroll: true });
  body.held = false;
}

// What nobody sees goes with its picture.
export function emptyFolded({ $$ }) {
  for (const details of $$("details[data-opens]:not([open])")) {
    details.classList.remove("busy");
    details.querySelector("div").replaceChildren();
  }
}

// The two classes that were chosen last, else the likeliest.
const whyOf = ({ state, view: { best } }) => state.why ?? [best[0][0], (best[1] ?? best[0])[0]];

function buildRelevance(tab) {
  const { $, answers: { relevance }, view } = tab;
  relevance.byClass = byClass(relevance);
  $(".x-why").replaceChildren(...whyOf(tab).map((chosenClass) => {
    const figure = document.createElement("figure");
    figure.innerHTML = `<label>Why <select></select></label><canvas></canvas><figcaption><p></p>
      <button type="button" class="x-quiet-button">Cover its brightest fifth</button> <output></output></figcaption>`;
    const select = figure.querySelector("select");
    figure.querySelector("button").addEventListener("click", () =>
      coverMap(tab, figure.querySelector("output"), relevance.byClass[select.value].grid, { class: +select.value }));
    select.append(...view.classes.map((name, i) => new Option(name, i)));
    select.value = chosenClass;
    select.addEventListener("change", () => { forgetCover(figure.querySelector("output")); drawRelevance(tab); });
    return figure;
  }));
  drawRelevance(tab);
}

export async function drawRelevance(tab) {
  if (!tab.answers.relevance) return;
  const figures = [...tab.$(".x-why").children], known = tab.answers.relevance.byClass;
  const selects = figures.map((figure) => figure.querySelector("select")), wanted = selects.map(({ value }) => +value);
  const missing = wanted.filter((c) => !(c in known));
  figures.forEach((figure, i) => { figure.querySelector("button").disabled = !(wanted[i] in known); });
  if (missing.length) {
    const answer = await ask(tab, "relevance", { classes: missing });
    if (answer) Object.assign(known, byClass(answer));
    if (tab.answers.relevance?.byClass !== known || selects.some(({ value }, i) => +value !== wanted[i])) return; // others were chosen since
    if (!answer) selects.forEach((select, i) => { select.value = wanted[i] = tab.state.why[i]; }); // what is drawn keeps its name
  }
  tab.state.why = wanted;
  figures.forEach((figure, i) => {
    const { grid, sentence } = known[wanted[i]];
    figure.querySelector("button").disabled = false;
    paintOverlay(tab, figure.querySelector("canvas"), grid, largest(grid)); // a scale of its own: totals differ by much
    figure.querySelector("figcaption p").textContent = sentence;
  });
}

const byClass = ({ classes, grids, sentences }) =>
  Object.fromEntries(classes.map((c, i) => [c, { grid: grids[i], sentence: sentences[i] }]));

function buildLens(tab) {
  const { $, view, answers: { lens: { cls, patches, probabilities } } } = tab;
  const packed = view.colors.map(fromHex);
  $(".x-layers").replaceChildren(...cls.map((best, layer) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    const [[first, share]] = best;
    figure.innerHTML = `<figcaption><span>After layer ${layer + 1}</span><b></b><span></span></figcaption>`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `What each patch alone would say after layer ${layer + 1}; together ${view.classes[first]}`);
    figure.querySelector("b").textContent = view.classes[first];
    figure.querySelector("b").style.borderColor = view.colors[first];
    figure.querySelectorAll("span")[1].textContent = percent(share);
    figure.title = best.map(([i, p]) => `${view.classes[i]} ${percent(p)}`).join(", ");
    paintOver(tab, canvas, (patch) => packed[patches[layer][patch] % packed.length], (patch) => 0.85 * probabilities[layer][patch]);
    canvas.addEventListener("pointermove", (event) => {
      const patch = patchAt(view, canvas, event);
      canvas.title = `${view.classes[patches[layer][patch]]} ${percent(probabilities[layer][patch])}`;
    });
    figure.prepend(canvas);
    return figure;
  }));
}

function buildWeights(tab) {
  const { $, answers: { weights } } = tab, { filters, stem } = weights;
  $(".x-own").innerHTML = `<figure><canvas class="positions"></canvas><figcaption></figcaption></figure>
    <figure><div class="x-filters"></div><figcaption></figcaption></figure>`;
  $(".x-filters").replaceChildren(...filters.map((src) => Object.assign(new Image(), { src, alt: "" })));
  $(".x-filters").nextElementSibling.textContent = stem === "conv"
    ? `The ${filters.length} filters of the stem's first convolution, each scaled to itself`
    : `The first ${filters.length} filters of the patch projection, each scaled to itself`;
  weights.cosines = bytes(weights.positions);
  drawPositions(tab);
}

// Cosine of the query patch's position embedding with every other's; of the middle patch's while the query is CLS.
export function drawPositions(tab) {
  const { $, answers: { weights }, state, view } = tab;
  if (!weights || !$("canvas.positions")) return;
  const patch = state.query >= 0 ? state.query : middleOf(view);
  const map = Array.from({ length: view.P }, (_, i) => Math.max(0, weights.cosines[patch * view.P + i] / 127.5 - 1));
  paintMap(tab, $("canvas.positions"), map, 1);
  $("canvas.positions").nextElementSibling.textContent = `Cosine of each position embedding to that of the patch in ${
    nameOf(view, patch)}, from 0 or less to 1` + (state.query < 0 ? "; click a patch of the picture for another" : "");
}
