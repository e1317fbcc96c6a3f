// Step 6: numbers to an answer, and which patches mattered: attention, relevance, and covering by hand.
import { percent, shareOf } from "../../script/format.js";
import { pokeIn } from "../../script/poke.js";
import { dot, largest, part, signed } from "./numbers.js";
import { stage } from "./stage.js";
import { strip } from "./strip.js";

export function build(lesson, figure, more) {
  const { view } = lesson;
  if (!view.classes.length) return buildUnnamed(lesson, figure, more);
  let found = null, chosen = 0;
  const name = view.classes[view.best];
  const maps = [["attention", `Attention: where ${view.reader} looks, mean of the heads`], ["relevance", `Relevance for ${name}`]].map(([map, title]) => {
    const side = document.createElement("figure");
    figure.append(side);
    const picture = stage(lesson, side, { label: title, pick: () => {}, says: (patch) => found ? says(map, patch) : "" });
    side.insertAdjacentHTML("beforeend", `<figcaption></figcaption>`);
    side.lastChild.textContent = title;
    return [map, picture];
  });
  figure.classList.add("l-two");
  figure.insertAdjacentHTML("beforeend", `<p class="l-warning" role="note" hidden></p>`);
  more.innerHTML = `<section><h3>From ${view.width} numbers to shares</h3><div class="l-read"></div><table class="l-table"></table><p class="l-sum"></p></section>
    <section class="l-poke"><h3>Cover, shift, blur: what does it need?</h3></section>`;
  const $ = (selector) => more.querySelector(selector), read = strip($(".l-read"), { label: () => `What is read, ${found.read.data.length} numbers` });
  $(".l-table").addEventListener("click", ({ target }) => {
    const row = target.closest("[data-row]");
    if (row) { chosen = +row.dataset.row; lesson.change({}); }
  });
  const poking = $(".l-poke");
  poking.hidden = true; // until there is something to change
  poking.addEventListener("poked", ({ detail }) => { if (detail.some((p) => p > detail[view.best])) lesson.complete("answer"); });
  const poke = pokeIn(poking, lesson.server, lesson.table, lesson.constants.changes);
  let poked = false;

  const says = (map, patch) => map === "attention" ? shareOf(found[map].data[patch], view.N) : signed(found[map].data[patch], 4);

  return {
    question: {
      text: `Cover the brightest fifth of the patches of a map: which costs ${name} most?`,
      options: ["Attention's", "Relevance's", "A random fifth"],
      async answer() {
        const told = await lesson.fetch("costs");
        if (!told) return null;
        const points = ["attention", "relevance", "random"].map((which) => told.costs[which]);
        figure.querySelector(".l-warning").hidden = false;
        figure.querySelector(".l-warning").textContent = told.warning;
        return { right: points.indexOf(Math.max(...points)), says: `Attention's costs ${signed(points[0], 1)} points, relevance's ${signed(points[1], 1)}, a random fifth ${signed(points[2], 1)} (mean of 5).` };
      },
    },
    async draw() {
      found = await lesson.fetch("verdict") ?? found;
      if (!found) return;
      for (const [map, picture] of maps) picture.overlay(found[map].data, largest(found[map].data));
      read.draw(found.read.data);
      const { logits, probabilities } = found, k = found.classes[chosen];
      $(".l-table").innerHTML = `<thead><tr><th>Class</th><th>logit</th><th>over T = ${found.temperature.toFixed(2)}</th><th>share</th></tr></thead><tbody>${
        found.classes.map((c, row) => `<tr data-row="${row}"${row === chosen ? ` class="here"` : ""}><td><button type="button" class="l-pick"></button></td><td>${signed(logits.data[c])}</td><td>${signed(logits.data[c] / found.temperature)}</td><td>${percent(probabilities.data[c], 1)}</td></tr>`).join("")}</tbody>`;
      [...more.querySelectorAll(".l-pick")].forEach((button, row) => { button.textContent = view.classes[found.classes[row]]; });
      const product = dot(found.read.data, part(found.weights, chosen)), bias = found.bias.data[chosen];
      $(".l-sum").textContent = `${view.classes[k]}: the ${found.read.data.length} numbers times its vector sum to ${signed(product)}; with its bias ${signed(bias)} the logit is ${signed(logits.data[k])}.`
        + (found.temperature === 1 ? "" : ` T, ${found.temperature.toFixed(2)}, was fitted on held-out pictures, so that a share says how often such an answer is right.`);
      if (poked) return;
      poked = true;
      poking.hidden = false;
      poke.load({ token: view.token, image: view.image, grid: view.grid, looks: true, all: { names: view.classes, shares: [...probabilities.data], colors: view.colors },
        bars: found.classes.map((c) => [view.classes[c]]) });
    },
  };
}

// Without a class head there is no answer to explain: where it looked, and the numbers that others may use.
function buildUnnamed(lesson, figure, more) {
  const { view } = lesson;
  let found = null;
  const picture = stage(lesson, figure, {
    label: `Attention: where ${view.reader} looks, mean of the heads`, pick: () => lesson.complete("answer"),
    says: (patch) => found ? shareOf(found.attention.data[patch], view.N) : "",
  });
  figure.insertAdjacentHTML("beforeend", `<p class="v-note">Where ${view.reader} looks in the end, mean of the heads.</p>`);
  more.innerHTML = `<section><h3>What is read</h3></section>`;
  const read = strip(more.firstChild, { label: () => `Its ${found.read.data.length} numbers` });
  return { question: null, async draw() {
    found = await lesson.fetch("unnamed") ?? found;
    if (!found) return;
    picture.overlay(found.attention.data, largest(found.attention.data));
    read.draw(found.read.data);
  } };
}
