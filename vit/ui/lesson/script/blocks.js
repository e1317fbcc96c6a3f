// Step 5: block after block. What attention and MLP add to a token, and what the classifier would say of it.
import { percent } from "../../script/format.js";
import { fromHex } from "../../script/color.js";
import { asker, choosers, small, tokenName } from "./controls.js";
import { part, signed } from "./numbers.js";
import { stage } from "./stage.js";

export function build(lesson, figure, more) {
  const { view, state } = lesson, first = view.prefix.length, named = view.classes.length > 0;
  const packed = view.colors.map(fromHex), layer = () => Math.min(state.layer, view.blocks - 1);
  const settles = named && view.blocks > 1; // else there is no layer to find
  const began = state.asker;
  let found = null, moved = false;
  const picture = stage(lesson, figure, {
    label: "What each patch alone would say", pick: (patch) => lesson.change({ asker: first + patch }),
    says: (patch) => found && named ? `${view.classes[part(found.likeliest, layer())[patch]]} ${percent(part(found.share, layer())[patch])}` : "",
  });
  figure.insertAdjacentHTML("beforeend", `<p class="v-note l-here"></p>`);
  more.innerHTML = `<div class="l-controls"></div><section><h3 class="l-title"></h3><table class="l-table l-layers"></table><p class="l-told"></p></section>`;
  const $ = (name) => more.querySelector(name), who = asker(lesson, $(".l-controls"), true);
  const chosen = choosers(lesson, $(".l-controls"), { heads: false, read: false });
  $(".l-controls").addEventListener("input", () => { moved = true; });
  $(".l-table").addEventListener("click", ({ target }) => {
    const row = target.closest("[data-layer]");
    if (row) { moved = true; lesson.change({ layer: +row.dataset.layer }); }
  });

  // What is read, after each layer: [index, probability].
  const mind = () => Array.from({ length: view.blocks }, (_, at) => [part(found.named, at)[0], part(found.read, at)[0]]);
  const settled = () => mind().findLastIndex(([index]) => index !== view.best) + 1;

  return {
    question: settles ? {
      text: `After which layer does the lens of ${view.reader} say ${view.classes[view.best]} for good?`,
      options: Array.from({ length: view.blocks }, (_, at) => `${at + 1}`),
      async answer() {
        found = await lesson.fetch("blocks");
        if (!found) return null;
        const at = settled();
        const [index, share] = mind()[Math.max(0, at - 1)];
        const before = at ? `After layer ${at} it says ${view.classes[index]}, ${percent(share, 1)}.` : "It never says anything else.";
        return { right: Math.min(at, view.blocks - 1), says: `${before} In the end it is ${percent(view.share, 1)} sure.` };
      },
    } : null,
    async draw() {
      found = await lesson.fetch("blocks") ?? found;
      if (!found) return;
      const at = layer(), token = state.asker;
      if (named) picture.shade((patch) => packed[part(found.likeliest, at)[patch] % packed.length], (patch) => 0.85 * part(found.share, at)[patch]);
      else picture.plain();
      picture.mark(token - first);
      figure.querySelector(".l-here").textContent = named
        ? `After layer ${at + 1}: each patch in the color of the class that it alone speaks for, stronger where it is surer.` : "This model has no class head, so there is no lens; the lengths are its own.";
      who.draw(); chosen.draw();
      $(".l-title").textContent = `${tokenName(view, token)}, block after block`;
      const longest = Math.max(...Array.from({ length: view.blocks }, (_, i) => part(found.stream, i)[token]));
      $(".l-table").innerHTML = `<thead><tr><th>Block</th><th>Its length</th><th>attention adds</th><th>MLP adds</th>${named ? `<th>The lens: ${small(`The ${view.reader.replace("the ", "")}`)}</th><th>this token</th>` : ""}</tr></thead><tbody>${
        Array.from({ length: view.blocks }, (_, i) => row(i, at, token, longest)).join("")}</tbody>`;
      const [mean, spread] = [part(found.mean, at)[token], part(found.spread, at)[token]];
      $(".l-told").textContent = `Before block ${at + 1} the norm takes this token's ${view.width} numbers from mean ${signed(mean, 3)} and spread ${spread.toFixed(3)} to 0 and 1; learned factors follow.`;
      if (settles ? moved && at === Math.min(settled(), view.blocks - 1) : token !== began) lesson.complete("blocks");
    },
  };

  function row(i, at, token, longest) {
    const [stream, attention, mlp] = ["stream", "attention", "mlp"].map((name) => part(found[name], i)[token]);
    const bar = (length) => `<td><span class="l-bar" style="width:${(60 * Math.min(1, length / longest)).toFixed(1)}%"></span> ${length.toFixed(1)}</td>`;
    const lens = named ? `<td>${say(...mind()[i])}</td><td>${token < first ? "–" : say(part(found.likeliest, i)[token - first], part(found.share, i)[token - first])}</td>` : "";
    return `<tr data-layer="${i}"${i === at ? ` class="here"` : ""}><td><button type="button" class="l-pick">${i + 1}</button></td>${bar(stream)}${bar(attention)}${bar(mlp)}${lens}</tr>`;
  }

  function say(index, share) {
    const name = document.createElement("b");
    name.textContent = view.classes[index];
    return `<i class="l-class" style="background:${view.colors[index]}"></i>${name.outerHTML} ${percent(share)}`;
  }
}
