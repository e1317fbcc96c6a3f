// The head to look at first, and a tour of those that differ most from it and from each other.
import { change } from "./redraw.js";
import { placeOf } from "./words.js";

// Which stop of the tour is on show; -1 where something else is.
export const stopOf = ({ view, state }) => state.source !== "head" || state.query >= 0 || state.direction !== "to" ? -1
  : view.telling.findIndex(({ layer, head }) => layer === state.layer && head === state.head);

export const firstView = ({ telling }) => ({ layer: telling[0].layer, head: telling[0].head, source: "head", query: -1, direction: "to" });

export function words(tab) {
  const { view } = tab, at = stopOf(tab), count = view.L * view.heads, [first] = view.telling;
  if (at < 0) return `The most telling of the ${count} heads here is head ${first.head + 1} of ${placeOf(view, first.layer)}.`;
  const { layer, head, sentence } = view.telling[at], what = `Head ${head + 1} of ${placeOf(view, layer)}`;
  return `${what} ${at ? `is stop ${at + 1} of ${view.telling.length}` : `is the most telling of the ${count} heads here`}. ${sentence}`;
}

export function drawTelling(tab) {
  const { $, view } = tab, at = stopOf(tab), last = view.telling.length - 1;
  $(".x-telling-words").textContent = words(tab);
  $(".x-tour").textContent = at < 0 ? "Show it" : !at ? "Tour the heads" : at < last ? "Next head" : "Back to the first";
  $(".x-tour").hidden = last < 1 && !at;
}

export function tour(tab) {
  const { view } = tab, { layer, head } = view.telling[(stopOf(tab) + 1) % view.telling.length];
  change(tab, { ...firstView(view), layer, head });
}
