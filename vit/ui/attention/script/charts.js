// Each head's numbers over the layers: a dot a head, the chosen one filled, dashed what uniform attention has.
import { percent } from "../../script/format.js";
import { column } from "./words.js";

const WIDE = 190, HIGH = 92, PAD = 8;

// A value of one of the table's rows, which come with the view; null where no row of the map counts.
export const tell = ({ unit, digits }, value) => value === null ? "–" : unit === "%" ? percent(value)
  : `${value.toFixed(digits)} ${unit}`.trim();

// Where a layer of L, and a value on a scale from 0 to top, stand in a chart.
export const x = (layer, L) => PAD + 6 + (WIDE - 2 * PAD - 12) * (L > 1 ? layer / (L - 1) : 0.5);
export const y = (value, top) => HIGH - PAD - (HIGH - 2 * PAD) * Math.max(0, Math.min(1, value / top));

function svg(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

export function buildCharts({ $, view }) {
  const told = view.statistics.filter(({ values }) => values.flat().some((value) => value !== null));
  $(".x-sampled").hidden = view.sampled === 1;
  $(".x-sampled").textContent = `There are so many patches that these numbers are of one in ${view.sampled} of those that ask.`;
  $(".x-charts").replaceChildren(...told.map((row) => {
    const figure = document.createElement("figure");
    figure.className = "x-chart";
    figure.dataset.name = row.name;
    figure.title = row.meaning;
    figure.innerHTML = `<figcaption><span></span><b></b></figcaption>`;
    figure.querySelector("span").textContent = row.title;
    const drawn = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH + 12}`, role: "img", "aria-label": `${row.title}, of all heads by layer` });
    drawn.append(...marks(view, row));
    figure.append(drawn);
    return figure;
  }));
}

// What is drawn in a chart: axis, chosen layer, level of uniform attention, names of layers, a dot a head, the chosen dot.
function marks({ L, heads, layers }, row) {
  const drawn = [svg("path", { class: "x-axis", d: `M${PAD} ${HIGH - PAD}H${WIDE - PAD}` }), svg("path", { class: "x-now" })];
  const label = (at, anchor, words) => svg("text", { class: "x-level-name", x: at, y: HIGH + 8, "text-anchor": anchor }, words);
  if (row.uniform !== null) {
    drawn.push(svg("path", { class: "x-level", d: `M${PAD} ${y(row.uniform, row.top)}H${WIDE - PAD}` }));
    drawn.push(label(WIDE / 2, "middle", `– – ${row.reference} ${tell(row, row.uniform)}`));
  }
  for (const [layer, anchor] of [[0, "start"], [L - 1, "end"]].slice(0, L)) {
    drawn.push(label(x(layer, L), L > 1 ? anchor : "middle", layers[layer].replace("Layer ", "L").replace("Read-out", "out")));
  }
  for (let l = 0; l < L; l++) for (const value of row.values[l].slice(0, heads)) {
    if (value !== null) drawn.push(svg("circle", { class: "x-dot", cx: x(l, L), cy: y(value, row.top), r: 2.6 }));
  }
  return [...drawn, svg("circle", { class: "x-dot x-chosen", r: 4.5 })];
}

export function drawCharts(tab) {
  const { $$, view, state } = tab;
  for (const figure of $$(".x-chart")) {
    const row = view.statistics.find(({ name }) => name === figure.dataset.name);
    const value = row.values[state.layer][column(tab)], chosen = figure.querySelector(".x-chosen");
    figure.querySelector(".x-now").setAttribute("d", `M${x(state.layer, view.L)} ${PAD}V${HIGH - PAD}`);
    chosen.setAttribute("cx", x(state.layer, view.L));
    chosen.setAttribute("cy", y(value ?? 0, row.top));
    chosen.setAttribute("visibility", value === null ? "hidden" : "visible");
    figure.querySelector("b").textContent = tell(row, value);
  }
}
