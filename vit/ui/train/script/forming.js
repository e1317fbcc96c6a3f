// Attention as it forms: the sliders redraw what is here and ask the server nothing.
import { paint } from "../../script/canvas.js";
import { colorTable } from "../../script/color.js";
import { percent } from "../../script/format.js";
import { showAddress } from "./address.js";
import { fetchMissing, keep } from "./moments.js";
import { buildStrip, drawMaps, drawPredictions } from "./strip.js";
import { tell } from "./tell.js";
import { drawFilters, drawPositions } from "./weights.js";

export function mount({ element, props, server, watch, constants }) {
  const $ = (name) => element.querySelector(name), forming = {
    element, props, server, $,
    $$: (name) => [...element.querySelectorAll(name)],
    table: colorTable(constants.colors),
    view: null, // what the server sent
    held: new Map(), // moments by id, unpacked; null: not to be had any more
    following: true, // the newest moment
    fetching: false,
    layer: 0, // from 1, once there is one
  };
  $(".when").addEventListener("input", () => {
    forming.following = +$(".when").value >= forming.view.moments.length - 1;
    draw(forming);
  });
  $(".now").addEventListener("click", () => {
    forming.following = true;
    $(".when").value = $(".when").max;
    draw(forming);
  });
  $(".layer").addEventListener("input", () => {
    forming.layer = +$(".layer").value;
    draw(forming);
  });
  watch("value", () => load(forming));
  load(forming);
}

function load(forming) {
  const { $, props: { value } } = forming, slider = $(".when"), before = forming.view;
  if (value?.run) showAddress(value.run);
  if (!value || !value.moments.length) return;
  $(".t-forming").hidden = false;
  const same = before && before.run === value.run && String(before.pictures) === String(value.pictures);
  if (!same) Object.assign(forming, { held: new Map(), following: true });
  const shown = same ? before.moments[slider.value]?.id : undefined;
  forming.view = value;
  keep(forming);
  slider.max = Math.max(1, value.moments.length - 1);
  slider.disabled = value.moments.length < 2;
  if (forming.following) slider.value = slider.max;
  else slider.value = value.moments.findLastIndex(({ id }) => id <= shown);
  if (!same || value.inline) buildStrip(forming);
  draw(forming);
  fetchMissing(forming, () => draw(forming));
}

// The moment that the slider stands at, or the last one before it that is here.
function draw(forming) {
  const { $, held, view } = forming;
  if (!view) return;
  let near = Math.min(+$(".when").value, view.moments.length - 1);
  while (near > 0 && !held.get(view.moments[near].id)) near--;
  const moment = held.get(view.moments[near].id);
  if (!moment) return;
  drawMaps(forming, moment);
  drawPredictions(forming, moment);
  drawPositions(forming, moment);
  drawFilters(forming, moment);
  const [, L, , h, w] = moment.shapes.maps, layers = L - (view.readout ? 1 : 0), { layer } = forming;
  paint($("canvas.bar"), 256, 1, forming.table);
  $(".layer-out").textContent = layer <= layers ? `${layer} of ${layers}` : "read-out";
  $(".t-who").textContent = !view.readout ? "Where the class token looks"
    : layer <= layers ? "Where patches look, on average" : "Where the read-out looks";
  $(".t-top").textContent = `≥ ${percent(view.top / (h * w), 1)} of its attention`;
  $(".t-even").textContent = `an even share is ${percent(1 / view.tokens, 1)}`;
  tell(forming, view.moments[near], near === view.moments.length - 1);
}
