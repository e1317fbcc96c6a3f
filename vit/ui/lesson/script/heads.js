// Step 4: values by weight, head beside head, and what heads off cost.
import { changeOf } from "../../script/change.js";
import { headsNamed } from "./change.js";
import { percent, shareOf } from "../../script/format.js";
import { paint } from "../../script/canvas.js";
import { step as tableStep } from "../../script/color.js";
import { layerOf } from "./asking.js";
import { asker, choosers, small, tokenName } from "./controls.js";
import { asking, best, largest, mixed, part } from "./numbers.js";
import { sure } from "./question.js";
import { stage } from "./stage.js";
import { strip } from "./strip.js";

const AS_IT_IS = "as it is";

export function build(lesson, figure, more) {
  const { view, state } = lesson, first = view.prefix.length;
  const off = new Set(); // "layer.head", from 0
  let weights = null;
  const picture = stage(lesson, figure, {
    label: "The picture under the chosen head's weights", pick: (patch) => lesson.change({ asker: first + patch }),
    says: (patch) => weights ? shareOf(weights[first + patch], view.N) : "",
  });
  more.innerHTML = `<div class="l-controls"></div>
    <section><h3>All heads of this layer</h3><div class="l-heads"></div><p class="l-told"></p><p class="l-off" role="status"></p>
      <p class="l-row"><button type="button" class="l-layer-off x-quiet-button" ${view.heads > 1 ? "" : "hidden"}>This layer off</button>
        <button type="button" class="l-all-on x-quiet-button" hidden>All on again</button></p></section>
    <section><h3>What the head hands on</h3><div class="l-vectors"></div></section>`;
  const $ = (name) => more.querySelector(name);
  const who = asker(lesson, $(".l-controls")), chosen = choosers(lesson, $(".l-controls"), {});
  $(".l-controls").insertAdjacentHTML("beforeend", `<button type="button" class="l-inside x-quiet-button" data-tab="Attention">See this head in the Attention tab</button>`);
  const value = strip($(".l-vectors"), { label: () => `The mean of all tokens' values by weight, head ${state.head + 1}` });

  const costs = async () => {
    const answer = await lesson.fetch("heads_off", { layer: state.layer });
    return answer && Array.from({ length: view.heads }, (_, head) => part(answer.probabilities, head)[view.best]);
  };

  const named = (head) => `${state.layer}.${head}`;

  function switchOff(head) {
    if (off.delete(named(head))) { lesson.change({ head }); return; }
    off.add(named(head));
    lesson.complete("heads");
    lesson.change({ head });
  }

  $(".l-layer-off").addEventListener("click", () => {
    for (let head = 0; head < view.heads; head++) off.add(named(head));
    lesson.complete("heads");
    lesson.change({});
  });
  $(".l-all-on").addEventListener("click", () => { off.clear(); lesson.change({}); });

  // What the model says without them, unless they have changed meanwhile.
  async function sayOff() {
    const heads = [...off], said = $(".l-off");
    $(".l-all-on").hidden = !heads.length;
    $(".l-layer-off").disabled = Array.from({ length: view.heads }, (_, head) => named(head)).every((name) => off.has(name));
    if (!heads.length) { said.textContent = ""; return; }
    if (!view.classes.length) { said.textContent = "This model names nothing, so no answer can change; its maps are in the Attention tab."; return; }
    const answer = await lesson.fetch("without_heads", { off: heads.sort().map((name) => name.split(".").map(Number)) });
    if (!answer || heads.length !== off.size || !heads.every((name) => off.has(name))) return;
    const now = answer.probabilities, top = best(now);
    const how = `without ${headsNamed(off, (layer) => layer < view.blocks ? `layer ${layer + 1}` : "the read-out")}`;
    said.textContent = changeOf(view.classes[view.best], view.share, now[view.best], AS_IT_IS, how)
      + (top === view.best ? "" : ` It now says ${sure(view, [top, now[top]])}.`);
  }

  return {
    question: view.classes.length && view.heads > 1 ? {
      text: `Which head of the chosen layer would cost ${view.classes[view.best]} most, if it were off?`,
      options: [...Array.from({ length: view.heads }, (_, head) => `Head ${head + 1}`), "None costs half a point"],
      async answer() {
        const now = await costs();
        if (!now) return null;
        const worst = best(now.map((share) => -share));
        return { right: view.share - now[worst] < 0.005 ? view.heads : worst, says: changeOf(view.classes[view.best], view.share, now[worst], AS_IT_IS, `without head ${worst + 1}`) };
      },
    } : null,
    async draw() {
      const answer = await layerOf(lesson);
      if (!answer) return;
      const asks = lesson.atReadOut ? 0 : state.asker, all = [];
      for (let head = answer.first; head < answer.first + answer.q.shape[0]; head++) all.push(ofHead(answer, head - answer.first, asks));
      const own = all[state.head - answer.first], top = Math.max(...all.map((told) => largest(told.weights.subarray(first))));
      weights = own.weights;
      picture.overlay(weights.subarray(first), largest(weights.subarray(first)));
      picture.mark(lesson.atReadOut ? -1 : asks - first);
      who.draw(); chosen.draw();
      value.draw(own.value);
      $(".l-heads").replaceChildren(...all.map((told, i) => cell(answer, told, answer.first + i, asks, top)));
      $(".l-told").textContent = lesson.atReadOut ? "A read-out adds to no stream: what its heads hand on, one after the other, is all that the classifier reads."
        : `${added(answer, asks)}${view.split ? " This model is large: its heads come one by one." : ""}`;
      $(".l-inside").dataset.show = `${state.layer}.${state.head}`;
      $(".l-inside").dataset.query = lesson.atReadOut ? -1 : asks - first;
      await sayOff();
    },
  };

  function ofHead({ q, k, v }, head, asks) {
    const query = part(q, head, asks), keys = part(k, head), d = query.length;
    const told = asking(query, keys, view.N - keys.length / d, d ** 0.5);
    return { ...told, value: mixed(told.weights, part(v, head)) };
  }

  function cell(answer, told, head, asks, top) {
    const button = document.createElement("button"), isOff = off.has(named(head));
    button.type = "button";
    button.className = "l-head-cell";
    button.innerHTML = `<canvas></canvas><b></b><span></span><small></small>`;
    button.querySelector("b").textContent = `Head ${head + 1}`;
    if (answer.added) button.querySelector("span").textContent = `adds ${percent(part(answer.added, head)[asks] / answer.stream.data[asks], 1)}`;
    button.querySelector("small").textContent = isOff ? "off: switch on" : "switch off";
    button.setAttribute("aria-pressed", isOff);
    button.classList.toggle("here", head === state.head);
    button.addEventListener("click", () => switchOff(head));
    const map = told.weights.subarray(first);
    paint(button.querySelector("canvas"), view.w, view.h, Uint32Array.from(map, (weight) => lesson.table[tableStep(weight, top)]));
    return button;
  }

  function added({ stream, attention }, asks) {
    const share = attention.data[asks] / stream.data[asks];
    return `${view.heads > 1 ? "Together the heads add" : "The head adds"} a vector of length ${attention.data[asks].toFixed(1)} to ${small(tokenName(view, asks))}, whose own is `
      + `${stream.data[asks].toFixed(1)} long: ${percent(share)}.${view.heads > 1 ? " Shares of single heads need not sum to that, as vectors point in many directions." : ""}`;
  }
}
