// The model at other sizes of pictures: a switch, and what it does to positions, to what is read, and to the answer.
import { bytes } from "../../script/bytes.js";
import { paint } from "../../script/canvas.js";
import { percent } from "../../script/format.js";
import { colors } from "./draw.js";

export function buildResolution(tab) {
  const { $, answers: { resolution: { sizes, own, now } } } = tab, element = $(".x-sizes");
  element.innerHTML = `<div class="x-segments x-small" role="radiogroup" aria-label="Size of the picture"></div>
    <p class="x-resized" role="status"></p><div class="x-before-after"></div>`;
  element.firstChild.append(...sizes.map((size) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${size} px` });
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", size === now.size);
    button.tabIndex = size === now.size ? 0 : -1;
    button.onclick = () => tab.resize(size);
    return button;
  }));
  $(".x-resized").textContent = told(own, now, sizes.length);
  drawResolution(tab);
}

// After a change of colors, too.
export function drawResolution(tab) {
  if (!tab.answers.resolution) return;
  const { own, now } = tab.answers.resolution, shown = own.size === now.size ? [own] : [own, now];
  tab.$(".x-before-after").replaceChildren(...shown.flatMap((seen) => [
    figure(tab, seen, "positions", `Likeness of each position to the middle one, ${patches(seen)}`),
    figure(tab, seen, "read", `What is read in the last layer, mean of heads, ${patches(seen)}`),
  ]));
}

const patches = ({ grid: [h, w], size }) => `${h} × ${w} patches at ${size} px`;

function figure(tab, { grid: [h, w], ...seen }, name, caption) {
  const element = document.createElement("figure"), canvas = document.createElement("canvas"), table = colors(tab);
  paint(canvas, w, h, Uint32Array.from(bytes(seen[name]), (value) => table[value]));
  element.append(canvas, Object.assign(document.createElement("figcaption"), { textContent: caption }));
  return element;
}

// One sentence on what the switch did, or does.
export function told(own, now, sizes) {
  if (sizes < 2) return "No other size was found that its patches divide.";
  if (own.size === now.size) {
    return `It learned positions for ${patches(own)}. At another size they are interpolated: choose one, and all maps follow.`;
  }
  const says = ({ size, answer: [name, share] }) => `at ${size} px ${name}, ${percent(share, 1)}`;
  const answers = own.answer ? ` It says ${says(own)}; ${says(now)}.` : "";
  return `Positions for ${own.grid.join(" × ")} patches became ${now.grid.join(" × ")}, by interpolation alone; nothing was learned anew.${answers}`;
}
