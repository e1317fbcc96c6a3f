// The picture in its patches, which pointer, touch and arrow keys choose from.
import { paint } from "../../script/canvas.js";
import { blend } from "../../script/blend.js";
import { drawMap } from "../../script/picture.js";
import { chooses, nameOf, patchAt, patchBeside } from "../../script/patches.js";

// pick: told the patch that is chosen; says: the words about a patch under the pointer.
export function stage(lesson, host, { label, pick, says }) {
  const { view } = lesson, element = document.createElement("div");
  element.className = "l-stage";
  element.tabIndex = 0;
  element.setAttribute("role", "application");
  element.setAttribute("aria-label", `${label}. Arrow keys move from patch to patch.`);
  element.innerHTML = `<canvas></canvas><i class="l-grid"></i><i class="l-reach" hidden></i><i class="l-mark" hidden></i><i class="l-other" hidden></i><output class="l-hover" hidden></output>`;
  element.style.setProperty("--rows", view.h);
  element.style.setProperty("--columns", view.w);
  host.append(element);
  const $ = (name) => element.querySelector(name), canvas = $("canvas");
  let here = -1, over = -1; // chosen; under the pointer

  const write = () => { if (says && over >= 0) $(".l-hover").textContent = `${says(over)} · ${nameOf(view, over)}`; };
  const hover = (event) => {
    over = patchAt(view, canvas, event);
    $(".l-hover").hidden = !says;
    write();
    return over;
  };
  for (const name of ["pointerdown", "pointermove", "pointerup"]) element.addEventListener(name, (event) => {
    const patch = hover(event);
    if (chooses(event) && (patch !== here || name !== "pointermove")) pick(here = patch);
  });
  element.addEventListener("pointerleave", () => { $(".l-hover").hidden = true; });
  element.addEventListener("keydown", (event) => {
    const next = patchBeside(view, here, event.key);
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (next !== here) pick(here = next);
  });

  function place(marker, patch) {
    marker.hidden = patch < 0;
    if (patch < 0) return;
    Object.assign(marker.style, {
      left: `${100 * (patch % view.w) / view.w}%`, top: `${100 * Math.floor(patch / view.w) / view.h}%`,
      width: `${100 / view.w}%`, height: `${100 / view.h}%`,
    });
  }

  paint(canvas, view.size.width, view.size.height, new Uint32Array(view.pixels.buffer).slice()); // until there are numbers

  return {
    element, canvas,
    // order: which patch is drawn at each place.
    plain(order = null) {
      const { size: { width, height }, pixels, h, w } = view, all = new Uint32Array(pixels.buffer);
      if (!order) return paint(canvas, width, height, all.slice());
      const moved = new Uint32Array(all.length), [down, across] = [height / h, width / w];
      for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i++) {
        const from = order[Math.floor(y / down) * w + Math.floor(x / across)];
        moved[i] = all[(Math.floor(from / w) * down + y % down) * width + from % w * across + x % across];
      }
      paint(canvas, width, height, moved);
    },
    // A number a patch, from 0 to top, over the picture in gray.
    overlay(map, top) { drawMap(canvas, view, lesson.table, map, top); write(); },
    // A packed color and its strength for each patch.
    shade(color, strength) { paint(canvas, view.size.width, view.size.height, blend(view, color, strength)); write(); },
    mark(patch) { here = patch; place($(".l-mark"), patch); },
    // A frame around the pixels that a patch's token is made of: its own, and so many beyond on each side.
    reach(patch, beyond) {
      const { size: { width, height }, h, w } = view, frame = $(".l-reach");
      const side = (at, count, whole) => [Math.max(0, at * whole / count - beyond), Math.min(whole, (at + 1) * whole / count + beyond)];
      const [left, right] = side(patch % w, w, width), [top, bottom] = side(Math.floor(patch / w), h, height);
      frame.hidden = !beyond;
      Object.assign(frame.style, {
        left: `${100 * left / width}%`, top: `${100 * top / height}%`, width: `${100 * (right - left) / width}%`, height: `${100 * (bottom - top) / height}%`,
      });
    },
    other(patch) { place($(".l-other"), patch); },
  };
}
