// Each head's numbers over the layers: a dot a head, the chosen one filled, dashed what uniform attention has.
import { percent } from "../../script/format.js";
import { column } from "./words.js";

const WIDE = 190, HIGH = 92, PAD = 8;
export const CHARTS = {
  distance: ["Distance", (v) => `${v.toFixed(1)} px`, "uniform", "Mean distance between a patch and those it attends to"],
  entropy: ["Entropy", (v) => `${v.toFixed(2)} nats`, "ln N", "How spread the attention is: 0 on one token, ln N on all alike"],
  attention_to_cls: ["On the class token", (v) => percent(v), "1/N", "What the patches give the class token"],
  object_share: ["On the object", (v) => percent(v), "its area", "Share of the class token's attention to patches"],
  cosine: ["Cosine to other heads", (v) => v.toFixed(2), "", "Of the class token's maps: 1 is the same map"],
};

// Where a layer of L, and a value on a scale from 0 to top, stand in a chart.
export const x = (layer, L) => PAD + 6 + (WIDE - 2 * PAD - 12) * (L > 1 ? layer / (L - 1) : 0.5);
export const y = (value, top) => HIGH - PAD - (HIGH - 2 * PAD) * Math.max(0, Math.min(1, value / top));

export const titleOf = (name, { region }) => name === "object_share" ? region.replace("the ", "On the ") : CHARTS[name][0];

function svg(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

export function buildCharts({ $, view }) {
  $(".x-charts").replaceChildren(...Object.entries(CHARTS).map(([name, [title, , , meaning]]) => {
    const figure = document.createElement("figure");
    figure.className = "x-chart";
    figure.dataset.name = name;
    figure.title = meaning;
    figure.innerHTML = `<figcaption><span></span><b></b></figcaption>`;
    figure.querySelector("span").textContent = titleOf(name, view);
    const drawn = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH + 12}`, role: "img", "aria-label": `${title}, of all heads by layer` });
    drawn.append(...marks(view, name));
    figure.append(drawn);
    return figure;
  }));
}

// What is drawn in a chart: axis, chosen layer, level of uniform attention, names of layers, a dot a head, the chosen dot.
function marks({ L, heads, statistics }, name) {
  const numbers = statistics[name], [, text, level] = CHARTS[name];
  const drawn = [svg("path", { class: "x-axis", d: `M${PAD} ${HIGH - PAD}H${WIDE - PAD}` }), svg("path", { class: "x-now" })];
  const label = (at, anchor, words) => svg("text", { class: "x-level-name", x: at, y: HIGH + 8, "text-anchor": anchor }, words);
  if (numbers) {
    drawn.push(svg("path", { class: "x-level", d: `M${PAD} ${y(numbers.uniform, numbers.top)}H${WIDE - PAD}` }));
    drawn.push(label(WIDE / 2, "middle", `– – ${level} ${text(numbers.uniform)}`));
  }
  for (const [layer, anchor] of [[0, "start"], [L - 1, "end"]].slice(0, L)) {
    drawn.push(label(x(layer, L), L > 1 ? anchor : "middle", `L${layer + 1}`));
  }
  for (let l = 0; l < L; l++) for (let k = 0; k < heads; k++) {
    drawn.push(svg("circle", { class: "x-dot", cx: x(l, L), cy: numbers ? y(numbers.values[l][k], numbers.top) : 0, r: 2.6 }));
  }
  return [...drawn, svg("circle", { class: "x-dot x-chosen", r: 4.5 })];
}

export function drawCharts(tab) {
  const { $$, view, state } = tab;
  for (const figure of $$(".x-chart")) {
    const name = figure.dataset.name, [, text] = CHARTS[name], chosen = figure.querySelector(".x-chosen");
    figure.querySelector(".x-now").setAttribute("d", `M${x(state.layer, view.L)} ${PAD}V${HIGH - PAD}`);
    chosen.setAttribute("cx", x(state.layer, view.L));
    if (name === "cosine") { drawCosines(tab, figure, text, chosen); continue; }
    const numbers = view.statistics[name], value = numbers.values[state.layer][column(tab)];
    chosen.setAttribute("cy", y(value, numbers.top));
    figure.querySelector("b").textContent = text(value);
  }
}

function drawCosines({ view, state }, figure, text, chosen) {
  const count = view.L * view.heads, self = state.layer * view.heads + state.head;
  figure.hidden = state.source !== "head" || count < 2;
  if (figure.hidden) return;
  const values = Array.from(view.similarity.subarray(self * count, (self + 1) * count), (byte) => byte / 255);
  const dots = figure.querySelectorAll(".x-dot");
  values.forEach((value, i) => dots[i].setAttribute("cy", y(value, 1.05)));
  chosen.setAttribute("cy", y(1, 1.05));
  const mean = (values.reduce((a, b) => a + b, 0) - values[self]) / (count - 1);
  const like = values.reduce((best, value, i) => i !== self && (best < 0 || value > values[best]) ? i : best, -1);
  figure.querySelector("b").textContent = `mean ${text(mean)}`;
  figure.title = `Most like layer ${Math.floor(like / view.heads) + 1}, head ${like % view.heads + 1}: ${text(values[like])}`;
}
