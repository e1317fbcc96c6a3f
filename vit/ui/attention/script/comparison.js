// The table of early against late layers.
import { tell } from "./charts.js";

export function buildComparison({ $, view }) {
  const { layers: n, early, late, sentence } = view.comparison;
  const [first, last] = n > 1 ? [`Layers 1 to ${n}`, `Layers ${view.L - n + 1} to ${view.L}`] : ["Layer 1", `Layer ${view.L}`];
  $("canvas.early").nextElementSibling.textContent = `${first}, all heads`;
  $("canvas.late").nextElementSibling.textContent = `${last}, all heads`;
  const rows = view.statistics.filter(({ name }) => early[name] !== null || late[name] !== null).map((row) =>
    `<tr title="${row.meaning}"><th>${row.title}</th><td>${tell(row, early[row.name])}</td><td>${tell(row, late[row.name])}</td></tr>`);
  $(".x-table").innerHTML = `<tr><th></th><th>${first}</th><th>${last}</th></tr>` + rows.join("");
  $(".x-compared").textContent = sentence;
}
