// Two models on one picture, their maps under one pair of sliders; and on the whole test set.
import { ask, tellError } from "../../script/ask.js";
import { copyLink, linkTo } from "../../script/copy.js";
import { fill } from "../../script/gallery.js";
import { drawLooks, unpackLooks } from "./looks.js";
import { earlier, labelOf, offered } from "./offered.js";
import { askUntilThere, drawWaiting } from "./server.js";
import { share } from "./set.js";
import { bar, verdict } from "./words.js";

const BARS = 5;

export function compareIn(element, server, table, pick) {
  const $ = (name) => element.querySelector(name), sides = [...element.querySelectorAll(".c-one")];
  const linked = new URLSearchParams(location.search).get("against"); // by the link that was opened
  let own, pair = null, turn = 0, setTurn = 0, named = linked; // pair: the two answers on show, of one picture

  async function load(value) {
    const changed = own?.model !== value.model;
    own = value;
    if (named) { element.open = true; choose(named); named = null; }
    if (changed) forgetSet();
    if (element.open) await compare();
  }

  function choose(key) {
    const select = $(".c-other"), list = offered().filter(([, other]) => other !== own.model);
    if (linked && linked !== own.model && !labelOf(linked)) list.push([nameOf(linked), linked]);
    const before = key || select.value;
    select.replaceChildren(...list.map(option), ...earlier().map(([label, kept]) => {
      const group = Object.assign(document.createElement("optgroup"), { label: `Earlier: ${label}` });
      group.append(...kept.map(option));
      return group;
    }));
    if ([...select.options].some(({ value }) => value === before)) select.value = before;
  }

  async function compare() {
    choose();
    const asked = ++turn, one = own, key = $(".c-other").value;
    $(".c-compare-set").disabled = true; // until it is known what it would compare
    const answer = key ? await ask(server, "beside", { token: one.token, other: key })
      : { error: "There is no other model yet: train one, and it can be compared here." };
    if (asked !== turn) return;
    pair = answer.error ? null : [one, answer];
    $(".c-compare-set").disabled = $(".c-both").hidden = !pair;
    tellError($(".c-compare-error"), answer.error);
    if (!pair) return;
    sides.forEach((side, i) => drawSide(side, pair[i]));
    drawMaps();
  }

  function drawSide(side, value) {
    side.innerHTML = `<h4></h4><div class="c-over"><img alt=""><canvas></canvas></div>`
      + `<p class="v-verdict"><b></b><span></span></p><ol class="v-bars"></ol>`;
    side.querySelector("h4").textContent = titleOf(value);
    side.querySelector("img").src = value.image;
    side.querySelector(".v-verdict b").textContent = value.bars[0][0];
    Object.assign(side.querySelector(".v-verdict span"), verdict(value));
    side.querySelector("ol").replaceChildren(...value.bars.slice(0, BARS).map(bar));
  }

  // The sliders go from a model's first layer to its last, however many it has; so do the heads, after their mean.
  function drawMaps() {
    const words = [[], []];
    sides.forEach((side, i) => {
      const { looks } = pair[i];
      side.querySelector("canvas").hidden = !looks;
      if (!looks) return;
      const maps = unpackLooks(looks), layer = Math.round($(".c-layer").value / 100 * (maps.layers - 1));
      const head = Math.round($(".c-head").value / 100 * maps.heads) - 1;
      drawLooks(side.querySelector("canvas"), maps, table, layer, head);
      words[0].push(`${layer + 1} of ${maps.layers}`);
      words[1].push(head < 0 ? "mean" : `${head + 1} of ${maps.heads}`);
    });
    $(".c-sliders").hidden = !words[0].length;
    element.querySelectorAll(".c-sliders output").forEach((output, i) => { output.textContent = [...new Set(words[i])].join(" | "); });
  }

  async function compareSets() {
    const asked = ++setTurn, [model, other] = pair.map((value) => value.model), names = pair.map(titleOf);
    const answer = await askUntilThere(server, "against", { model, other }, () => asked === setTurn && element.isConnected,
      (waiting) => drawWaiting($(".c-wait"), waiting));
    if (asked !== setTurn) return;
    $(".c-wait").hidden = true;
    tellError($(".c-compare-error"), answer.error);
    if (!answer.error && !answer.waiting) drawSets(names, answer);
  }

  function drawSets(names, { first, second, intervals, n, only_first: won, only_second: lost, p_value: p, won: wins, lost: losses }) {
    const line = (name, value, [low, high]) => `${name}: ${share(value)} (95% interval ${share(low)} to ${share(high)})`;
    const element = $(".c-against");
    element.innerHTML = `<p></p><p></p><p></p><p class="v-label"></p><div class="v-gallery"></div>`
      + `<p class="v-label"></p><div class="v-gallery"></div>`;
    const [one, two, test, onlyOne, onlyTwo] = element.querySelectorAll("p");
    one.textContent = line(names[0], first, intervals[0]);
    two.textContent = line(names[1], second, intervals[1]);
    test.textContent = `On ${won + lost} of ${n.toLocaleString("en")} pictures exactly one of them is right. `
      + `McNemar's exact test: p = ${p < 0.0001 ? p.toExponential(1) : p.toFixed(4)}`
      + (p < 0.05 ? ", so two equally good models would rarely differ so much." : ", so this may well be chance.");
    onlyOne.textContent = `Only ${names[0]} is right: ${won}`;
    onlyTwo.textContent = `Only ${names[1]} is right: ${lost}`;
    const [a, b] = element.querySelectorAll(".v-gallery");
    fill(a, wins, pick);
    fill(b, losses, pick);
  }

  function forgetSet() {
    setTurn++;
    $(".c-wait").hidden = true;
    $(".c-against").replaceChildren();
  }

  function copy() {
    if (!own.picture) { $(".c-copied").textContent = "Your own picture stays with you: choose a test picture for a link."; return; }
    const link = linkTo({ tab: "classify", model: own.model, against: $(".c-other").value, picture: own.picture });
    copyLink($(".c-copied"), link, "Link to this comparison", "Copied.");
  }

  element.addEventListener("toggle", () => { if (element.open && own) compare(); });
  $(".c-other").onchange = () => { forgetSet(); compare(); };
  for (const name of [".c-layer", ".c-head"]) $(name).oninput = drawMaps;
  $(".c-copy").onclick = copy;
  $(".c-compare-set").onclick = compareSets;
  $(".c-cancel").onclick = forgetSet;
  return { load };
}

const option = ([text, value]) => Object.assign(document.createElement("option"), { value, text });

const titleOf = (value) => labelOf(value.model) ?? `${nameOf(value.model)}: ${value.title}`;

// What a link names and this page does not offer: a repository of the Hub, the run of somebody else, or another size.
function nameOf(key) {
  const [model, at] = key.split("@");
  const name = labelOf(model)?.split(" · ")[0] ?? (model.includes("/") ? model : "Another's run");
  if (!at) return name;
  return at.endsWith("px") ? `${name} at ${parseInt(at, 10)} px` : `${name} at step ${at}`;
}
