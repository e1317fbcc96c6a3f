// The table of early against late layers.
import { tell } from "./charts.js";

export function buildComparison({ $, view }) {
  const { layers: n, early, late, sentence } = view.comparison;
  const named = (from, to) => from === to ? view.layers[to]
    : `${view.layers[from].replace("Layer", "Layers")} to ${view.layers[to].replace("Layer ", "").toLowerCase()}`;
  const [first, last] = [named(0, n - 1), named(view.L - n, view.L - 1)];
  $("canvas.early").nextElementSibling.textContent = `${first}, all heads`;
  $("canvas.late").nextElementSibling.textContent = `${last}, all heads`;
  const rows = view.statistics.filter(({ name }) => early[name] !== null || late[name] !== null).map((row) =>
    `<tr title="${row.meaning}"><th>${row.title}</th><td>${tell(row, early[row.name])}</td><td>${tell(row, late[row.name])}</td></tr>`);
  $(".x-table").innerHTML = `<tr><td></td><th>${first}</th><th>${last}</th></tr>` + rows.join("");
  $(".x-compared").textContent = sentence;
}
