// What follows from a change of what is chosen. Nothing here asks the server.
import { drawComparison, drawGrid, drawStage } from "./draw.js";
import { forgetCover } from "./cover.js";
import { drawCharts } from "./charts.js";
import { drawFeatures } from "./features.js";
import { drawOff, markGrid } from "./heads.js";
import { nameOf } from "../../script/patches.js";
import { isPooled, sharpen } from "./rows.js";
import { drawPositions } from "./sections.js";
import { drawTelling } from "./telling.js";
import { sentence, sourceName } from "./words.js";

export function change(tab, changes) {
  const everyMap = "query" in changes || "direction" in changes;
  Object.assign(tab.state, changes, { untouched: false });
  if ("query" in changes) delete tab.answers.features?.patch; // which was pointed at before
  if (everyMap) {
    drawAll(tab);
    sharpen(tab, drawAll);
  } else drawView(tab);
}

// After a change of query, direction, colors or scale.
export function drawAll(tab) {
  const { $, $$, state, view } = tab, { direction, query } = state;
  drawGrid(tab);
  drawComparison(tab);
  drawPositions(tab);
  for (const button of $$("[data-direction]")) check(button, button.dataset.direction === direction);
  $(".x-middle").hidden = !view.middle;
  const marker = $(".x-query");
  marker.hidden = $(".x-reset").hidden = query < 0;
  if (query >= 0) Object.assign(marker.style, {
    left: `${100 * (query % view.w) / view.w}%`, top: `${100 * Math.floor(query / view.w) / view.h}%`,
    width: `${100 / view.w}%`, height: `${100 / view.h}%`,
  });
  drawView(tab);
}

// After a change of layer, head or source.
function drawView(tab) {
  forgetCover(tab.$(".x-covered"));
  const { $, $$, state, view } = tab;
  drawStage(tab);
  drawFeatures(tab);
  markGrid(tab);
  drawCharts(tab);
  $(".layer").value = state.layer + 1;
  $(".head").value = state.head + 1;
  $(".head").disabled = state.source === "rollout";
  const pooled = isPooled(tab) ? `, ${view.pool} × ${view.pool} patches` : "";
  $(".x-query-name").textContent = nameOf(view, state.query, state.layer) + pooled;
  const [last, layers] = view.readout ? ["read-out", view.L - 1] : ["", view.L];
  $(".layer-out").textContent = state.layer < layers ? `${state.layer + 1} of ${layers}` : last;
  $(".head-out").textContent = state.source === "head" ? `${state.head + 1} of ${view.heads}` : sourceName(state);
  for (const button of $$("[data-source]")) check(button, button.dataset.source === state.source);
  $(".x-sentence").textContent = sentence(tab);
  $("canvas.overlay").setAttribute("aria-label", `The picture under its map. ${sentence(tab)}`);
  $(".x-lesson").dataset.at = tab.element.dataset.at = `${state.layer}.${state.head}.${state.query}`;
  drawTelling(tab);
  drawOff(tab);
}

function check(button, on) {
  button.setAttribute("aria-checked", on);
  button.tabIndex = on ? 0 : -1;
}
