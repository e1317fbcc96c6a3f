// What stands under the picture, in words.
import { percent } from "../../script/format.js";
import { chosenMap } from "./maps.js";
import { nameOf } from "./patches.js";

export const sourceName = ({ head, source }) =>
  ({ head: `head ${head + 1}`, mean: "mean of heads", rollout: "rollout" })[source];
export const directionName = ({ direction }) => direction === "to" ? "attention from" : "attention to";

// Where the numbers and sentences of what is chosen stand in a layer's: after the heads come their mean and the rollout.
export const column = ({ view, state }) =>
  ({ head: state.head, mean: view.heads, rollout: view.heads + 1 })[state.source];

export function sentence(tab) {
  const { view, state } = tab, layer = `Layer ${state.layer + 1}`;
  const of = { head: `${layer}, head ${state.head + 1}`, mean: `${layer}, mean of heads`, rollout: `Rollout to layer ${state.layer + 1}` };
  return `${of[state.source]}. ${state.query < 0 ? view.sentences[state.layer][column(tab)] : patchSentence(tab)}`;
}

// How far away a map's weights lie from a patch, in pixels, how far if evenly spread, their entropy, and the largest one's place.
export function spread({ w, P, size }, map, patch) {
  const total = map.reduce((a, b) => a + b, 0) || 1, pixels = size.width / w;
  const [row, col] = [Math.floor(patch / w), patch % w];
  const away = (i) => pixels * Math.hypot(Math.floor(i / w) - row, i % w - col);
  let distance = 0, even = 0, entropy = 0, peak = 0;
  map.forEach((weight, i) => {
    const share = weight / total;
    distance += share * away(i);
    even += away(i) / P;
    if (share > 0) entropy -= share * Math.log(share);
    if (weight > map[peak]) peak = i;
  });
  return { distance, even, entropy, peak };
}

// What the map of a patch says, from the weights that are drawn.
function patchSentence(tab) {
  const { view, state } = tab, map = chosenMap(tab), to = state.direction === "to";
  const { distance, even, entropy, peak } = spread(view, map, state.query);
  const reach = distance < 0.5 * even ? "local" : distance > 0.9 * even ? "global" : "neither local nor global";
  const name = `the patch in ${nameOf(view, state.query)}`;
  return (to ? `${name.replace("the", "The")} looks` : `What attends to ${name} lies`)
    + ` ${distance.toFixed(1)} px away on average, evenly spread it would be ${even.toFixed(1)} px: ${reach}. `
    + `Entropy ${entropy.toFixed(2)} nats, as if over ${Math.exp(entropy).toFixed(0)} of ${view.P} patches; `
    + `most, ${percent(map[peak])}, ${to ? "goes to" : "comes from"} `
    + (peak === state.query ? "itself." : `${nameOf(view, peak)}.`);
}
