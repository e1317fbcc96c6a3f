// Figures and maps of the view, saved as files.
import { save } from "../../script/save.js";
import { ask } from "./ask.js";
import { topOf } from "./draw.js";
import { chosenMap } from "./maps.js";
import { nameOf } from "../../script/patches.js";
import { directionName, placeOf, sourceName } from "./words.js";

export async function saveFile(tab, format) {
  const { $, state, view } = tab, map = chosenMap(tab), note = $(".x-file-note");
  note.textContent = "Drawing …";
  const answer = await ask(tab, "export", {
    format, grid: [...map], top: topOf(tab, map, state.source), colormap: $(".colormap").value,
    opacity: $(".opacity").value / 100, title: `${view.title}, ${placeOf(view, state.layer)}, ${sourceName(state)}`,
    name: `${directionName(state)}: ${nameOf(view, state.query, state.layer)}`,
  });
  note.textContent = answer ? `Saved as ${answer.name}` : "";
  if (answer) save(answer);
}
