// The Attention tab: one picture through one model, all of whose maps are here.
import { colorTable } from "../../script/color.js";
import { answer } from "../../script/gallery.js";
import { follow } from "../../script/links.js";
import { buildCharts } from "./charts.js";
import { buildComparison } from "./comparison.js";
import { listen, showHead } from "./controls.js";
import { drawBar, readPicture } from "./draw.js";
import { buildGrid } from "./heads.js";
import { followLink } from "./link.js";
import { unpack } from "./maps.js";
import { drawPrediction, predictWithout } from "./prediction.js";
import { drawAll } from "./redraw.js";
import { emptyFolded, openSection } from "./sections.js";
import { firstView } from "./telling.js";

export function mount({ element, props, server, trigger, watch, constants }) {
  const tab = {
    element, props, server,
    resize: (size) => trigger(constants.events.resize, { size }),
    $: (name) => element.querySelector(name),
    $$: (name) => [...element.querySelectorAll(name)],
    tables: Object.fromEntries(Object.entries(constants.colors).map(([name, text]) => [name, colorTable(text)])),
    view: null, // the payload, unpacked
    state: { layer: 0, head: 0, source: "head", query: -1, direction: "to", off: new Set(), untouched: true }, // what is chosen
    answers: {}, // of the server, to what was asked about this view
    asked: 0, // how often a prediction without heads was asked for: only the last answer is shown
  };
  listen(tab);
  watch("value", () => load(tab));
  load(tab);
}

async function load(tab) {
  const { $, $$, element, props, state } = tab, value = props.value || { message: "Loading …" };
  $(".v-message").hidden = !("message" in value);
  $(".v-message").textContent = value.message || "";
  if ("message" in value) { $(".x-view").hidden = true; tab.view = null; return; }
  const view = { ...await unpack(value), ...await readPicture($("canvas.input"), value.image) };
  if (props.value !== value) return; // another picture came meanwhile
  const before = tab.view;
  tab.view = view;
  answer(view.picture);
  tab.answers = {};
  emptyFolded(tab);
  if (state.untouched || before?.L !== view.L || before?.heads !== view.heads) Object.assign(state, firstView(view));
  else if (before.P !== view.P) state.query = -1; // the same model at another size
  if (before?.model !== view.model) {
    state.off.clear();
    delete state.why;
  }
  $(".layer").max = view.L;
  $(".x-reset").textContent = view.readout ? "Read-out" : "Class token";
  $(".head").max = view.heads;
  for (const name of [".x-relevance", ".x-lens", ".x-off"]) $(name).hidden = !view.classes.length;
  $(".x-cover").parentElement.hidden = !view.classes.length;
  if (!view.classes.length && $(".x-off").getAttribute("aria-pressed") === "true") $(".x-off").click(); // no answer could change
  $(".x-view").hidden = false;
  if (!before) followLink(tab);
  buildGrid(tab);
  buildCharts(tab);
  buildComparison(tab);
  drawPrediction(tab, null);
  $(".x-file-note").textContent = "";
  $(".x-error").hidden = true;
  drawBar(tab);
  drawAll(tab);
  if (state.off.size) predictWithout(tab);
  $$("details[data-opens]:not([hidden])").forEach((details) => openSection(tab, details));
  if (!before) follow("show", (told) => showHead(tab, told));
  element.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
}
