// What stands under the picture, in words.
import { shareOf } from "../../script/format.js";
import { nameOf } from "../../script/patches.js";
import { isPooled } from "./rows.js";

export const sourceName = ({ head, source }) =>
  ({ head: `head ${head + 1}`, mean: "mean of heads", rollout: "rollout" })[source];
export const directionName = ({ direction }) => direction === "to" ? "attention from" : "attention to";

// Where the numbers and sentences of what is chosen stand in a layer's: after the heads come their mean and the rollout.
export const column = ({ view, state }) =>
  ({ head: state.head, mean: view.heads, rollout: view.heads + 1 })[state.source];

export function sentence(tab) {
  const { view, state } = tab, layer = view.layers[state.layer], at = column(tab);
  const of = { head: `${layer}, head ${state.head + 1}`, mean: `${layer}, mean of heads`, rollout: `Rollout to ${placeOf(view, state.layer)}` };
  return `${of[state.source]}. ${state.query < 0 ? view.sentences[state.direction][state.layer][at] : patchSentence(tab)}`;
}

// A layer within a sentence: "layer 2", "the read-out".
export const placeOf = (view, layer) => (view.layers[layer] === "Read-out" ? "the " : "") + view.layers[layer].toLowerCase();

// The server's numbers of a patch's map in what is chosen: distance in pixels, entropy, the largest weight, and its place.
export function numbersOf({ L, heads, P, patches }, { layer, query, direction }, at) {
  const size = 2 * L * (heads + 2) * P, place = (((direction === "to" ? 0 : L) + layer) * (heads + 2) + at) * P + query;
  const [distance, entropy, peak, where] = [0, 1, 2, 3].map((part) => patches[part * size + place]);
  return { distance, entropy, peak, where };
}

// How far evenly spread weights lie from a patch on average, in pixels.
export function evenDistance({ w, P, size }, patch) {
  const away = (i) => Math.hypot(Math.floor(i / w) - Math.floor(patch / w), i % w - patch % w);
  return size.width / w * Array.from({ length: P }, (_, i) => away(i)).reduce((a, b) => a + b) / P;
}

function patchSentence(tab) {
  const { view, state } = tab, to = state.direction === "to", unread = state.layer === view.L - 1 ? `${view.unread} ` : "";
  if (unread && view.readout) return view.unread;
  if (!view.patches) return `${unread}This model has too many patches to send the numbers of each; ${
    isPooled(tab) ? `the map is a mean of ${view.pool} × ${view.pool}` : "the map is this patch's own"}.`;
  const { distance, entropy, peak, where } = numbersOf(view, state, column(tab)), even = evenDistance(view, state.query);
  const [local, global] = view.reach;
  const reach = distance < local * even ? "local" : distance > global * even ? "global" : "neither local nor global";
  const name = `the patch in ${nameOf(view, state.query)}`, among = to ? `${view.tokens} tokens` : `${view.P} patches`;
  const skips = state.source === "rollout" ? "What skip connections alone carried is left out of distance and entropy. " : "";
  return `${unread}${skips}${to ? `${name.replace("the", "The")} looks` : `What attends to ${name} lies`}`
    + ` ${distance.toFixed(1)} px away on average, evenly spread it would be ${even.toFixed(1)} px: ${reach}. `
    + `Entropy ${entropy.toFixed(2)} nats, as if over ${Math.exp(entropy).toFixed(0)} of ${among}; `
    + `of all patches ${to ? "most goes to" : "most comes from"} ${where === state.query ? "itself" : nameOf(view, where)}, ${shareOf(peak, view.tokens)}.`;
}
