// The answer to one picture.
import { colorTable } from "../../script/color.js";
import { compareIn } from "./compare.js";
import { frameOn } from "./frame.js";
import { drawLooks, unpackLooks } from "./looks.js";
import { answer } from "../../script/gallery.js";
import { pokeIn } from "../../script/poke.js";
import { setIn } from "./set.js";
import { bar, verdict } from "./words.js";

export function mount({ element, props, server, trigger, watch, constants }) {
  const $ = (name) => element.querySelector(name), table = colorTable(constants.colors);
  const frame = frameOn($(".c-original"), (chosen) => trigger(constants.events.frame, { frame: chosen }));
  const pick = (picture) => trigger(constants.events.pick, { picture });
  const comparison = compareIn($(".c-compare"), server, table, pick), set = setIn($(".c-set"), server, pick);
  const poking = pokeIn($(".c-poke"), server, table, constants.changes);
  let shown = null; // the picture's name or id

  function load() {
    const value = props.value || { message: "Loading …" };
    $(".v-message").hidden = !("message" in value);
    $(".v-message").textContent = value.message || "";
    $(".c-view").hidden = "message" in value;
    if ("message" in value) return;
    answer(value.picture);
    drawPictures(value);
    $(".v-verdict b").textContent = value.bars[0][0];
    Object.assign($(".v-verdict span"), verdict(value));
    $(".c-doubt").hidden = !value.doubt;
    $(".c-doubt").textContent = value.doubt;
    $(".v-bars").replaceChildren(...value.bars.map(bar));
    $(".c-took").textContent = `${value.called} · ${value.title} · ${Math.max(1, Math.round(value.milliseconds))} ms`;
    comparison.load(value);
    set.load(value);
    poking.load(value);
    const now = value.original?.id ?? value.picture;
    if (shown !== null && shown !== now) bringIntoView(element);
    shown = now;
    element.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
  }

  function drawPictures(value) {
    const { original, image, looks, size } = value;
    frame.draw(original);
    $(".v-seen img").src = image;
    $(".v-seen figcaption").textContent = `What the model sees: ${size} × ${size} pixels`;
    $(".c-looks").hidden = $(".c-inside").hidden = $(".c-lesson").hidden = !looks;
    if (looks) {
      $(".c-looks img").src = image;
      drawLooks($(".c-looks canvas"), unpackLooks(looks), table);
      $(".c-looks figcaption").textContent = `Where ${looks.asker} looks, mean of the heads`;
    }
    const detail = original && { id: original.id, src: image, token: value.token };
    element.dispatchEvent(new CustomEvent("answered", { bubbles: true, detail }));
  }

  $(".c-inside").onclick = () => trigger(constants.events.inside);
  watch("value", load);
  load();
}

// On a phone the answer stands below what is tapped, or above.
function bringIntoView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  if (top >= 0 && bottom <= innerHeight || !matchMedia("(max-width: 640px)").matches) return;
  element.scrollIntoView({ block: "start" });
}
