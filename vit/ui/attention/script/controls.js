// Hands on the controls.
import { tellError } from "../../script/ask.js";
import { coverMap } from "./cover.js";
import { drawBar, drawComparison, drawStage } from "./draw.js";
import { saveFile } from "./files.js";
import { copyView } from "./link.js";
import { keepOnlyHead, switchAllOn, switchHead, switchLayerOff } from "./prediction.js";
import { chosenMap } from "./maps.js";
import { change, drawAll } from "./redraw.js";
import { drawResolution } from "./resolution.js";
import { drawRelevance, openSection } from "./sections.js";
import { listenToStage } from "./stage.js";
import { tour } from "./telling.js";

export function listen(tab) {
  const { $, $$, element, tables } = tab;
  $(".colormap").append(...Object.keys(tables).map((name) => new Option(name, name)));
  $(".layer").addEventListener("input", (event) => change(tab, { layer: event.target.value - 1 }));
  $(".head").addEventListener("input", (event) => change(tab, { head: event.target.value - 1, source: "head" }));
  $(".opacity").addEventListener("input", () => {
    showOpacity(tab);
    drawStage(tab);
    drawComparison(tab);
    drawRelevance(tab);
  });
  showOpacity(tab);
  for (const name of [".own", ".colormap"]) $(name).addEventListener("input", () => {
    drawBar(tab);
    drawAll(tab);
    drawRelevance(tab);
    drawResolution(tab);
  });
  for (const name of ["source", "direction"]) for (const button of $$(`[data-${name}]`)) {
    button.addEventListener("click", () => change(tab, { [name]: button.dataset[name] }));
  }
  element.addEventListener("keydown", onRadioKey);
  listenToStage(tab);
  listenToGrid(tab);
  for (const details of $$("details[data-opens]")) {
    details.addEventListener("toggle", () => tab.view && openSection(tab, details));
  }
  $(".x-tour").addEventListener("click", () => tour(tab));
  $(".x-cover").addEventListener("click", () => coverMap(tab, $(".x-covered"), chosenMap(tab)));
  $(".x-link").addEventListener("click", () => copyView(tab));
  for (const button of $$("[data-format]")) button.addEventListener("click", () => saveFile(tab, button.dataset.format));
}

function showOpacity({ $ }) {
  $(".opacity-out").textContent = `${$(".opacity").value}%`;
}

// Arrow keys move between the buttons of a radio group.
function onRadioKey(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by || !event.target.matches("[role=radio]")) return;
  event.preventDefault();
  const group = [...event.target.parentElement.children];
  const next = group[(group.indexOf(event.target) + by + group.length) % group.length];
  next.click();
  next.focus();
}

function listenToGrid(tab) {
  const { $ } = tab, grid = $(".x-grid"), off = $(".x-off");
  grid.addEventListener("click", (event) => {
    const cell = event.target.closest(".x-cell");
    if (!cell) return;
    const layer = +cell.dataset.layer, head = +cell.dataset.head;
    if (off.getAttribute("aria-pressed") === "true") switchHead(tab, layer, head);
    else change(tab, { layer, head, source: "head" });
  });
  grid.addEventListener("keydown", (event) => onGridKey(tab, event));
  off.addEventListener("click", () => {
    const on = off.getAttribute("aria-pressed") !== "true";
    off.setAttribute("aria-pressed", on);
    for (const more of [".x-layer-off", ".x-only"]) $(more).hidden = !on;
    grid.classList.toggle("switching", on);
  });
  $(".x-all-on").addEventListener("click", () => switchAllOn(tab));
  $(".x-layer-off").addEventListener("click", () => switchLayerOff(tab));
  $(".x-only").addEventListener("click", () => keepOnlyHead(tab));
}

// From a cell of a study's table, or from the lesson, to the head that it speaks of, and to who asks there.
export function showHead(tab, { show, model, query = -1 }) {
  if (!tab.view) return;
  if (model && model !== tab.view.model) {
    tellError(tab.$(".x-error"), "That table is of another model: choose its model again to see this head, or study the one that is chosen.");
    tab.$(".x-error").scrollIntoView({ block: "center" });
    return;
  }
  const [layer, head] = show.split(".").map(Number);
  if (layer >= tab.view.L || head >= tab.view.heads) return; // another model was chosen since
  change(tab, { layer, head, source: "head", query: Math.max(-1, query) });
  tab.$(".x-main").scrollIntoView({ block: "start" });
}

function onGridKey(tab, event) {
  const { $, state, view } = tab, moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key.toLowerCase() === "o" && !event.ctrlKey && !event.metaKey) {
    if (!$(".x-off").hidden) switchHead(tab, state.layer, state.head); // else no prediction could follow
    return;
  }
  if (!(event.key in moves)) return;
  event.preventDefault();
  const [right, down] = moves[event.key];
  const layer = Math.max(0, Math.min(view.L - 1, state.layer + right));
  const head = Math.max(0, Math.min(view.heads - 1, state.head + down));
  change(tab, { layer, head, source: "head" });
  $(`.x-cell[data-layer="${layer}"][data-head="${head}"]`).focus();
}
