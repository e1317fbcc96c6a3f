// What the model says, and what it would say with heads switched off.
import { changeOf, points } from "../../script/change.js";
import { article, percent } from "../../script/format.js";
import { ask } from "./ask.js";
import { drawOff, markGrid } from "./heads.js";

export function switchHead(tab, layer, head) {
  const name = `${layer}.${head}`, { off } = tab.state;
  if (!off.delete(name)) off.add(name);
  showOff(tab);
}

export const switchAllOn = (tab) => switchOff(tab, () => false);
export const switchLayerOff = (tab) => switchOff(tab, (layer, head) =>
  layer === tab.state.layer || tab.state.off.has(`${layer}.${head}`));
export const keepOnlyHead = (tab) => switchOff(tab, (layer, head) => layer !== tab.state.layer || head !== tab.state.head);

// Switches off exactly the heads of which `isOff` is true.
function switchOff(tab, isOff) {
  const { state: { off }, view: { L, heads } } = tab;
  const all = Array.from({ length: L * heads }, (_, i) => [Math.floor(i / heads), i % heads]);
  const wanted = all.filter(([layer, head]) => isOff(layer, head)); // before it is cleared, which isOff may look at
  off.clear();
  for (const [layer, head] of wanted) off.add(`${layer}.${head}`);
  showOff(tab);
}

function showOff(tab) {
  markGrid(tab);
  drawOff(tab);
  predictWithout(tab);
}

export async function predictWithout(tab) {
  const turn = ++tab.asked, off = [...tab.state.off];
  if (!off.length) { drawPrediction(tab, null); return; }
  const answer = await ask(tab, "without_heads", { off: off.map((name) => name.split(".").map(Number)) });
  if (turn === tab.asked && answer) drawPrediction(tab, answer.probabilities);
}

// The likeliest classes; with heads off, what they have become, and a thin line where they were.
export function drawPrediction({ $, view, state }, now) {
  if (!view.classes.length) {
    $(".x-says-title").textContent = "Without a class head it names nothing.";
    $(".x-bars").replaceChildren();
    $(".x-change").textContent = "";
    $(".x-all-on").hidden = !state.off.size;
    return;
  }
  const before = new Map(view.best), order = (now || []).map((p, i) => [i, p]).sort((a, b) => b[1] - a[1]);
  const ids = [...new Set([...(now ? order.slice(0, 2).map(([i]) => i) : []), ...before.keys()])].slice(0, 4);
  const first = now ? order[0][0] : view.best[0][0], n = state.off.size;
  const truth = view.truth && (view.truth === view.classes[first] ? ", which is right" : `; it is ${article(view.truth)}`);
  $(".x-says-title").textContent = (now ? `With ${n} head${n > 1 ? "s" : ""} off it says ` : "It says ")
    + view.classes[first] + (truth || "");
  $(".x-change").textContent = now ? changeOf(view.classes[view.best[0][0]], view.best[0][1], now[view.best[0][0]], "with all heads", "now") : "";
  $(".x-all-on").hidden = !now;
  const share = (i) => now ? now[i] : before.get(i);
  $(".x-bars").replaceChildren(...ids.sort((a, b) => share(b) - share(a)).map((i) =>
    bar(view.classes[i], view.colors[i], share(i), now ? before.get(i) : undefined)));
}

// was: the share with all heads, if that is another and known.
function bar(name, color, share, was) {
  const item = document.createElement("li");
  item.innerHTML = `<span class="v-name"></span><span class="v-bar"><i></i></span><span class="v-percent"></span>`;
  item.querySelector(".v-name").textContent = name;
  Object.assign(item.querySelector("i").style, { width: `${100 * share}%`, background: color });
  item.querySelector(".v-percent").textContent = percent(share);
  if (was === undefined) return item;
  item.querySelector(".v-bar").append(Object.assign(document.createElement("s"), { style: `left:${100 * was}%` }));
  item.querySelector(".v-percent").append(Object.assign(document.createElement("small"), { textContent: ` ${points(was, share)}` }));
  item.title = `${percent(was)} with all heads`;
  return item;
}
