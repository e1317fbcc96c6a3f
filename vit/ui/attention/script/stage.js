// Pointer and keys on the picture choose the query.
import { shareOf } from "../../script/format.js";
import { chosenMap } from "./maps.js";
import { chooses, nameOf, patchAt, patchBeside } from "../../script/patches.js";
import { change } from "./redraw.js";

export function listenToStage(tab) {
  const { $, state } = tab, stage = $(".x-stage");
  for (const name of ["pointerdown", "pointermove", "pointerup"]) stage.addEventListener(name, (event) => hover(tab, event));
  stage.addEventListener("pointerleave", () => { $(".x-hover").hidden = true; });
  stage.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return change(tab, { query: -1 });
    const query = patchBeside(tab.view, state.query, event.key);
    if (query === undefined) return;
    event.preventDefault();
    if (query !== state.query) change(tab, { query });
  });
  $(".x-reset").addEventListener("click", () => { change(tab, { query: -1 }); stage.focus(); });
}

function hover(tab, event) {
  const { $, state, view } = tab, patch = patchAt(view, $("canvas.overlay"), event), output = $(".x-hover");
  if (chooses(event) && patch !== state.query) change(tab, { query: patch }); // once: what follows may move the stage
  output.hidden = false;
  output.textContent = `${shareOf(chosenMap(tab)[patch], view.tokens)} · ${nameOf(view, patch)}`;
}
