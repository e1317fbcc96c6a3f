// Step 3: one token asks. Its query, all keys, their products, divided, softmax.
import { shareOf } from "../../script/format.js";
import { asker, choosers, radios, small, tokenName } from "./controls.js";
import { asking, best, largest, part, signed } from "./numbers.js";
import { stage } from "./stage.js";
import { strip } from "./strip.js";

const STAGES = [["products", "Products"], ["scores", "÷ √d"], ["weights", "Weights"]], LISTED = 5, ENOUGH = 0.9;
const LEAST = 0.02, MOST = 50; // times the root, the slider's ends

export function build(lesson, figure, more) {
  const { view, state } = lesson, first = view.prefix.length;
  let found = null, drawn = "weights", times = 1, other = -1, shown = "", choosesAsker = true;
  const picture = stage(lesson, figure, {
    label: "The picture under what is drawn", pick,
    says: (patch) => found ? valueOf(first + patch) : "",
  });
  figure.insertAdjacentHTML("beforeend", `<div class="l-row"></div><div class="l-row"></div>`);
  const [stages, who] = figure.querySelectorAll(".l-row");
  const stageRadios = radios(stages, "What is drawn", STAGES, (name) => { drawn = name; lesson.change({}); });
  const whoRadios = radios(who, "What a touch chooses", [["asker", "A touch asks"], ["other", "A touch shows its numbers"]], (name) => {
    choosesAsker = name === "asker";
    lesson.change({});
  });
  more.innerHTML = `<div class="l-controls"></div>
    <section><h3 class="l-asks"></h3><table class="l-table"></table><p class="l-told"></p></section>
    <section><h3>Query and key</h3><div class="l-vectors"></div></section>`;
  const $ = (name) => more.querySelector(name);
  const who_ = asker(lesson, $(".l-controls")), chosen = choosers(lesson, $(".l-controls"), {});
  $(".l-controls").insertAdjacentHTML("beforeend", `<label class="x-slider"><span>Divided by <output></output></span>
    <input class="l-divisor" type="range" min="-100" max="100" step="1" value="0"></label>
    <button type="button" class="l-root x-quiet-button">Back to √d</button>
    <button type="button" class="l-inside x-quiet-button" data-tab="Attention">See this head in the Attention tab</button>`);
  const slider = $(".l-divisor");
  slider.addEventListener("input", () => {
    times = slider.value < 0 ? LEAST ** (-slider.value / 100) : MOST ** (slider.value / 100);
    lesson.change({});
  });
  $(".l-root").addEventListener("click", () => { times = 1; slider.value = 0; lesson.change({}); });
  const query = strip($(".l-vectors"), { label: () => "The query" }), key = strip($(".l-vectors"), { label: () => `The key of ${small(tokenName(view, other))}` });

  function pick(patch) {
    if (!choosesAsker || lesson.atReadOut) { other = first + patch; lesson.change({}); return; }
    lesson.change({ asker: first + patch });
  }

  function valueOf(token) {
    const value = found[drawn][token];
    return drawn === "weights" ? shareOf(value, view.N) : signed(value);
  }

  async function stagesOf(divisorTimes) {
    const answer = await layerOf(lesson);
    if (!answer) return null;
    const head = state.head - answer.first, asks = lesson.atReadOut ? 0 : state.asker;
    const q = part(answer.q, head, asks), keys = part(answer.k, head), d = q.length;
    return { q, keys, d, divisor: divisorTimes * d ** 0.5, exact: answer.exact, ...asking(q, keys, view.N - keys.length / d, divisorTimes * d ** 0.5) };
  }

  return {
    question: {
      text: "In the head that is chosen: who gets most from the token that asks?",
      options: ["Itself", "A patch beside it", "A patch further away", ...(first ? ["A token that is no patch"] : [])],
      async answer() {
        const now = await stagesOf(1);
        if (!now) return null;
        const top = best(now.weights);
        return { right: relation(view, lesson.atReadOut ? -1 : state.asker, top), says: `${tokenName(view, top)} gets ${shareOf(now.weights[top], view.N)}; an even share is ${shareOf(1 / view.N, view.N)}.` };
      },
    },
    async draw() {
      found = await stagesOf(times) ?? found;
      if (!found) return;
      const { weights, products, scores, q, keys, d } = found, asks = lesson.atReadOut ? -1 : state.asker;
      if (times !== 1 && Math.max(...weights) > ENOUGH) lesson.complete("asking");
      const now = [state.layer, state.head, asks].join();
      if (shown !== now) other = best(weights); // another question: its numbers are those of who gets most
      shown = now;
      const map = [...found[drawn]].slice(first), low = drawn === "weights" ? 0 : Math.min(...map);
      picture.overlay(map.map((value) => value - low), Math.max(largest(map.map((value) => value - low)), 1e-9));
      picture.mark(asks - first);
      picture.other(other - first);
      who_.draw(); chosen.draw(); stageRadios.draw(drawn); whoRadios.draw(choosesAsker ? "asker" : "other");
      more.querySelector(".l-divisor").previousElementSibling.querySelector("output").textContent =
        `${found.divisor.toFixed(2)}${times === 1 ? `, √${d}` : ""}`;
      const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, LISTED);
      $(".l-asks").textContent = `Who gets most from ${lesson.atReadOut ? "the read-out" : small(tokenName(view, asks))}`;
      $(".l-table").innerHTML = `<thead><tr><th>Token</th><th>q · k</th><th>divided</th><th>weight</th></tr></thead><tbody>${
        order.map((token) => `<tr data-token="${token}"><td>${tokenName(view, token)}${token === asks ? ", itself" : ""}</td><td>${signed(products[token])}</td><td>${signed(scores[token])}</td><td>${shareOf(weights[token], view.N)}</td></tr>`).join("")}</tbody>`;
      const missing = view.N - keys.length / d, asked = other - missing;
      query.draw(q);
      if (asked >= 0) key.draw(keys.subarray(asked * d, (asked + 1) * d));
      $(".l-told").textContent = `${tokenName(view, other)}: query times key is ${signed(products[other])}, divided by ${found.divisor.toFixed(2)} it is `
        + `${signed(scores[other])}, and after softmax ${shareOf(weights[other], view.N)} of the attention.`
        + `${found.exact ? "" : " The numbers came rounded to 11 bits."}`;
      $(".l-inside").dataset.show = `${state.layer}.${state.head}`;
      $(".l-inside").dataset.query = asks - first;
    },
  };
}

// What to ask the server for: of a large model each head by itself, which the server decides.
const whichHead = (view, { layer, head }) => view.split ? { layer, head } : { layer };

// The chosen layer's numbers; null where there are none, or another was chosen until they came.
export async function layerOf(lesson) {
  const asked = whichHead(lesson.view, lesson.state), answer = await lesson.fetch("layer", asked);
  return answer && JSON.stringify(asked) === JSON.stringify(whichHead(lesson.view, lesson.state)) ? answer : null;
}

function relation(view, asks, gets) {
  const first = view.prefix.length;
  if (gets === asks) return 0;
  if (gets < first) return 3;
  const [a, b] = [asks - first, gets - first];
  const apart = Math.max(Math.abs(Math.floor(a / view.w) - Math.floor(b / view.w)), Math.abs(a % view.w - b % view.w));
  return asks >= first && apart <= 1 ? 1 : 2;
}
