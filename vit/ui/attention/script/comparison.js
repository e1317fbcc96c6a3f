// The table of early against late layers.
import { CHARTS, titleOf } from "./charts.js";

export function buildComparison({ $, view }) {
  const { layers: n, early, late, sentence } = view.comparison;
  const [first, last] = n > 1 ? [`Layers 1 to ${n}`, `Layers ${view.L - n + 1} to ${view.L}`] : ["Layer 1", `Layer ${view.L}`];
  $("canvas.early").nextElementSibling.textContent = `${first}, all heads`;
  $("canvas.late").nextElementSibling.textContent = `${last}, all heads`;
  const rows = Object.keys(CHARTS).filter((name) => name in early).map((name) => {
    const [, text] = CHARTS[name];
    return `<tr><th>${titleOf(name, view)}</th><td>${text(early[name])}</td><td>${text(late[name])}</td></tr>`;
  });
  $(".x-table").innerHTML = `<tr><th></th><th>${first}</th><th>${last}</th></tr>` + rows.join("");
  $(".x-compared").textContent = sentence;
}
