// This browser's runs: a table of them, and of those that are ticked the curves overlaid and the maps side by side.
import { colorTable } from "../../script/color.js";
import { drawBeside, fetchAll } from "./beside.js";

const SHOWN = 2; // runs that are ticked at first, the latest

export function mount({ element, props, server, watch, constants }) {
  const $ = (name) => element.querySelector(name), comparing = {
    $, server,
    table: colorTable(constants.colors),
    runs: [], // as the server tells them
    held: new Map(), // moments, unpacked, by run and id
    ticked: new Set(), // ids of runs
    known: new Set(), // ids of runs that were listed before: they stay as the visitor ticked them
    layer: 0, // from 1, once there is one
  };

  const draw = () => {
    comparing.runs.forEach(({ id }, i) => $(".r-curves").querySelectorAll(`.t-run-${i}`)
      .forEach((mark) => { mark.style.display = comparing.ticked.has(id) ? "" : "none"; }));
    drawBeside(comparing);
  };
  const tick = async (id, on) => {
    if (on) comparing.ticked.add(id);
    else comparing.ticked.delete(id);
    draw();
    await fetchAll(comparing, draw);
  };
  const load = async () => {
    const { value } = props;
    $(".r-all").hidden = !value;
    if (!value) return;
    comparing.runs = value.runs;
    for (const { id } of value.runs.slice(-SHOWN)) if (!comparing.known.has(id)) comparing.ticked.add(id);
    for (const { id } of value.runs) comparing.known.add(id);
    $(".r-curves").innerHTML = value.curves;
    $(".r-gone").textContent = value.gone ? `${value.gone} more of this browser's are not kept on this server.` : "";
    fillTable($(".t-runs"), constants.columns, comparing, tick);
    draw();
    await fetchAll(comparing, draw);
  };

  for (const name of [".r-when", ".r-layer"]) $(name).addEventListener("input", () => {
    comparing.layer = +$(".r-layer").value;
    draw();
  });
  watch("value", load);
  load();
}

function fillTable(table, columns, { runs, ticked }, tick) {
  const head = document.createElement("tr");
  head.append(...columns.map((name) => Object.assign(document.createElement("th"), { scope: "col", textContent: name })));
  table.replaceChildren(head, ...runs.map(({ id, name, color, cells }) => {
    const row = document.createElement("tr"), first = Object.assign(document.createElement("th"), { scope: "row" });
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: ticked.has(id) });
    box.setAttribute("aria-label", `Compare ${name}`);
    box.addEventListener("input", () => tick(id, box.checked));
    const dot = document.createElement("i");
    dot.style.background = color;
    const link = Object.assign(document.createElement("a"), { textContent: name, href: `?run=${encodeURIComponent(id)}` });
    first.append(box, dot, link);
    row.append(first, ...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
}
