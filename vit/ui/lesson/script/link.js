import { copyLink, linkTo } from "../../script/copy.js";

// The link to a step with its state. Layer, head and query are named as the Attention tab names them, which reads them, too:
// a query that is no patch, such as "class token", is none there.
export function linkOf({ view, state }) {
  if (!view.picture) return null;
  const patch = state.asker - view.prefix.length;
  return linkTo({
    tab: "lesson", model: view.model, picture: view.picture, step: state.step + 1, layer: state.layer + 1, head: state.head + 1,
    query: patch < 0 ? view.prefix[state.asker] : `${Math.floor(patch / view.w) + 1},${patch % view.w + 1}`,
  });
}

// Takes the step from the address, and what is chosen, if it speaks of the picture and model that are shown.
export function followLink({ view, state }) {
  const said = new URLSearchParams(location.search), number = (name, end) => {
    const value = parseInt(said.get(name), 10) - 1;
    return value >= 0 && value < end ? value : undefined;
  };
  state.step = number("step", view.steps.length) ?? state.step;
  if (said.get("picture") !== view.picture || said.get("model") !== view.model) return;
  state.layer = number("layer", view.blocks + view.readout) ?? state.layer;
  state.head = number("head", view.heads) ?? state.head;
  const query = said.get("query") || "", [row, column] = query.split(",").map((n) => n - 1);
  if (row >= 0 && row < view.h && column >= 0 && column < view.w) state.asker = view.prefix.length + row * view.w + column;
  else if (view.prefix.includes(query)) state.asker = view.prefix.indexOf(query);
}

export function copyStep(lesson) {
  const note = lesson.$(".l-note"), link = linkOf(lesson);
  note.hidden = false;
  if (!link) { note.textContent = "An uploaded picture stays with you: there is no link to it."; return; }
  copyLink(note, link, "Link to this step", "Copied. It opens this model, picture and step.");
}
