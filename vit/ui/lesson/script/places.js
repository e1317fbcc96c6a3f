// Step 2: where a token comes from. How alike places are, and what is said of shuffled patches.
import { percent } from "../../script/format.js";
import { nameOf } from "../../script/patches.js";
import { part, signed } from "./numbers.js";
import { sure } from "./question.js";
import { stage } from "./stage.js";

export function build(lesson, figure, more) {
  const { view, state } = lesson, first = view.prefix.length;
  let found = null, said = null, seed = 0;
  const patch = () => Math.max(0, state.asker - first);
  const picture = stage(lesson, figure, {
    label: "The places",
    pick: (at) => {
      said = null;
      if (!view.classes.length) lesson.complete("places");
      lesson.change({ asker: first + at });
    },
    says: (at) => found && !said ? `cosine ${signed(part(found.cosines, patch())[at])}` : "",
  });
  figure.insertAdjacentHTML("beforeend", `<p class="v-note l-here"></p><p class="l-row" ${view.classes.length ? "" : "hidden"}>
    <button type="button" class="l-shuffle x-quiet-button">Shuffle the patches</button>
    <button type="button" class="l-order x-quiet-button">In order</button></p>`);
  more.innerHTML = `<section class="l-said" hidden><h3>What it says</h3><table class="l-table"></table><p class="l-differ"></p></section>`;
  const $ = (name) => figure.querySelector(name) ?? more.querySelector(name);
  $(".l-shuffle").addEventListener("click", shuffle);
  $(".l-order").addEventListener("click", () => { said = null; lesson.change({}); });

  async function shuffle() {
    const answer = await lesson.fetch("shuffled", { seed: seed++ });
    if (!answer) return null;
    said = answer;
    lesson.complete("places");
    lesson.change({});
    return answer;
  }

  return {
    question: view.classes.length ? {
      text: `It says ${sure(view, [view.best, view.share])}. With the patches shuffled, but each place's embedding where it was: does it still say ${view.classes[view.best]}?`,
      options: ["It does", "It says something else"],
      async answer() {
        const answer = await shuffle();
        if (!answer) return null;
        const now = answer.said.shuffled;
        return { right: now[0] === view.best ? 0 : 1, says: `It says ${sure(view, now)}. Without position embeddings it could not tell: the numbers are below.` };
      },
    } : null,
    async draw() {
      found = await lesson.fetch("places");
      if (!found) return;
      const at = patch(), cosines = part(found.cosines, at), others = [...cosines].filter((_, i) => i !== at);
      if (said) picture.plain(said.order);
      else picture.overlay(cosines.map((cosine) => Math.max(0, cosine)), 1);
      picture.mark(said ? -1 : at);
      $(".l-here").textContent = said ? "The same patches in another order; the places stay where they are."
        : `How alike each place's embedding is to that in ${nameOf(view, at)}: cosines from ${signed(Math.min(...others))} to ${signed(Math.max(...others))}`
          + `${found.exact ? "" : ", rounded to a thousandth"}.`;
      $(".l-said").hidden = !said;
      if (!said) return;
      const row = (title, ...names) => `<tr><td>${title}</td>${names.map((name) => `<td data-said="${name}"></td>`).join("")}</tr>`;
      $(".l-table").innerHTML = `<thead><tr><th></th><th>in order</th><th>shuffled</th></tr></thead><tbody>${
        row("with position embeddings", "as it is", "shuffled")}${row("without them", "without places", "shuffled without places")}</tbody>`;
      for (const cell of more.querySelectorAll("[data-said]")) {
        const [index, share] = said.said[cell.dataset.said];
        cell.textContent = `${view.classes[index]} ${percent(share, 1)}`;
      }
      $(".l-differ").textContent = `Without position embeddings the order changes no class's share by more than ${said.difference < 1e-6 ? "0.0001%" : percent(said.difference, 4)}: `
        + "to attention a picture is then a bag of patches.";
    },
  };
}
