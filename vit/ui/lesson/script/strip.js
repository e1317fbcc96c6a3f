// Numbers as a strip of cells, blue below 0 and orange above; one can be chosen by pointer, touch and arrow keys.
import { paint } from "../../script/canvas.js";
import { pack } from "../../script/color.js";
import { chooses } from "../../script/patches.js";
import { largest, signed } from "./numbers.js";

const NEGATIVE = [37, 84, 219], POSITIVE = [217, 119, 6], ZERO = [236, 238, 241];

export function diverging(value, top) {
  const share = Math.min(1, Math.abs(value) / top), end = value < 0 ? NEGATIVE : POSITIVE;
  return pack(...ZERO.map((zero, i) => Math.round(zero + share * (end[i] - zero))));
}

// label: what the numbers are; pick: told the index of a chosen one; columns: cells in a row.
export function strip(host, { label, columns = 32, pick = null }) {
  const figure = document.createElement("figure");
  figure.className = "l-strip";
  figure.innerHTML = `<div class="l-cells"><canvas></canvas><i hidden></i></div><figcaption></figcaption>`;
  host.append(figure);
  const cells = figure.querySelector(".l-cells"), canvas = figure.querySelector("canvas"), mark = figure.querySelector("i");
  const caption = figure.querySelector("figcaption");
  let values = [], chosen = -1, rows = 1;

  const at = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect(), part = (place, size) => Math.max(0, Math.min(size - 1, Math.floor(place * size)));
    return Math.min(values.length - 1, part((clientY - box.top) / box.height, rows) * columns + part((clientX - box.left) / box.width, columns));
  };
  const says = (index) => { caption.textContent = `${label()}. Number ${index + 1} is ${signed(values[index])}.`; };
  // Before there are numbers, nothing can be said of one.
  const on = (name, act) => cells.addEventListener(name, (event) => { if (values.length) act(event); });
  on("pointermove", (event) => says(at(event)));
  on("pointerleave", () => write());
  cells.setAttribute("role", pick ? "application" : "img");
  if (pick) {
    cells.tabIndex = 0;
    for (const name of ["pointerdown", "pointerup"]) on(name, (event) => { if (chooses(event)) pick(at(event)); });
    on("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      pick(chosen < 0 ? 0 : Math.max(0, Math.min(values.length - 1, chosen + by)));
    });
  }
  const write = () => {
    if (chosen >= 0) says(chosen);
    else caption.textContent = `${label()}, ${signed(Math.min(...values))} to ${signed(Math.max(...values))}.`;
  };

  return {
    draw(numbers, index = -1, top = largest(numbers)) {
      values = numbers;
      chosen = index;
      rows = Math.ceil(values.length / columns);
      const pixels = new Uint32Array(rows * columns);
      values.forEach((value, i) => { pixels[i] = diverging(value, top); });
      paint(canvas, columns, rows, pixels);
      canvas.style.aspectRatio = `${columns} / ${rows}`;
      cells.setAttribute("aria-label", `${label()}${pick ? ". Arrow keys choose a number." : ""}`);
      mark.hidden = index < 0;
      if (index >= 0) Object.assign(mark.style, {
        left: `${100 * (index % columns) / columns}%`, top: `${100 * Math.floor(index / columns) / rows}%`,
        width: `${100 / columns}%`, height: `${100 / rows}%`,
      });
      write();
    },
  };
}
