// Attention as it forms: the sliders redraw what is here and ask the server nothing.
import { setAddress } from "../../script/address.js";
import { paint } from "../../script/canvas.js";
import { colorTable } from "../../script/color.js";
import { shareOf } from "../../script/format.js";
import { saveAnimation } from "./animation.js";
import { fetchMissing, keep } from "./moments.js";
import { between, play, playOnceSeen, stop } from "./play.js";
import { drawMaps, drawPredictions } from "./strip.js";
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
    untouched: true, // nobody has moved a recorded run yet
    at: 0, // the moment on show, a fraction between two while playing
    playing: null,
    stale: true, // the strip's cells are of other pictures or another model
    fetching: false,
    layer: 0, // from 1, once there is one
  };
  const scrub = (at) => {
    stop(forming);
    Object.assign(forming, { at, untouched: false, following: at >= forming.view.moments.length - 1 });
    draw(forming);
  };
  $(".when").addEventListener("input", () => scrub(+$(".when").value));
  $(".now").addEventListener("click", () => scrub(forming.view.moments.length - 1));
  $(".play").addEventListener("click", () => {
    forming.untouched = false;
    if (!forming.playing) return play(forming, draw);
    stop(forming);
    draw(forming); // as it stands still, its maps have words again
  });
  $(".layer").addEventListener("input", () => {
    forming.layer = +$(".layer").value;
    draw(forming);
  });
  $(".t-gif").addEventListener("click", () => saveAnimation(forming));
  $(".over").addEventListener("input", () => draw(forming));
  watch("value", () => load(forming));
  load(forming);
}

async function load(forming) {
  const { $, props: { value } } = forming, before = forming.view;
  if (value?.run) setAddress("run", value.run, before !== null); // a run that was started here is a step of its own
  if (!value) return;
  if (!value.moments.length) return awaitFirst(forming, value);
  const nameOf = (view) => [view.run || view.recorded, view.pictures].join();
  const same = before && nameOf(before) === nameOf(value), last = value.moments.length - 1;
  const shown = same ? before.moments[Math.floor(forming.at)]?.id : undefined;
  if (!same) Object.assign(forming, { held: new Map(), following: !value.recorded, layer: 0, at: 0 });
  forming.view = value;
  keep(forming);
  if (!same) stop(forming);
  if (!forming.playing) {
    if (forming.following) forming.at = last;
    else if (same) forming.at = Math.max(0, value.moments.findLastIndex(({ id }) => id <= shown));
  }
  $(".t-forming").hidden = false;
  $(".t-forming").classList.remove("t-waits");
  $(".when").max = Math.max(1, last);
  $(".when").disabled = $(".play").hidden = last < 1;
  $(".t-gif").hidden = value.live || last < 1;
  $(".t-about").textContent = value.says;
  if (!same || value.inline) forming.stale = true;
  draw(forming);
  await fetchMissing(forming, () => draw(forming));
  if (!same && value.recorded && forming.view === value && forming.untouched) playOnceSeen(forming, draw);
}

// Until a run has a moment nothing of another run stays but its place, so that nothing jumps.
function awaitFirst(forming, value) {
  const { $, view } = forming;
  if (!view?.run || view.run === value.run) return;
  stop(forming);
  forming.view = value;
  $(".t-forming").classList.add("t-waits");
  $(".t-about").textContent = "This run's attention appears here with its first moment.";
  document.documentElement.style.setProperty("--scrubbed", 0);
}

// The moment that is on show, or the last one before it that is here.
function draw(forming) {
  const { $, held, table, view } = forming;
  if (!view?.moments.length) return;
  let near = Math.min(Math.floor(forming.at), view.moments.length - 1);
  while (near > 0 && !held.get(view.moments[near].id)) near--;
  const here = held.get(view.moments[near].id);
  if (!here) return;
  $(".when").value = Math.round(forming.at);
  const share = Math.max(0, Math.min(1, forming.at - near));
  const moment = between(here, share < 1 ? held.get(view.moments[near + 1]?.id) : null, share);
  const [, L, , h, w] = moment.shapes.maps, layers = L - (view.readout ? 1 : 0);
  const most = view.top * view.tokens / (h * w); // times an even share, which all tokens get
  drawMaps(forming, moment, table, most);
  const { layer } = forming; // drawMaps has made sure that this model has it
  drawPredictions(forming, moment);
  drawPositions(forming, moment);
  drawFilters(forming, moment);
  paint($("canvas.bar"), 256, 1, table);
  $(".layer-out").textContent = layer <= layers ? `${layer} of ${layers}` : "read-out";
  $(".t-who").textContent = !view.readout ? "Where the class token looks"
    : layer <= layers ? "Where patches look, on average" : "Where the read-out looks";
  $(".t-even").textContent = `an even share is ${shareOf(1 / view.tokens, view.tokens)}`;
  tell(forming, view.moments[near], near === view.moments.length - 1);
}
