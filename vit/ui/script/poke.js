// Patches covered by hand, and the picture changed: the bars follow.
import { ask, tellError } from "./ask.js";
import { paint } from "./canvas.js";
import { percent } from "./format.js";
import { step, withAlpha } from "./color.js";
import { patchAt, patchBeside } from "./patches.js";

const SHOWN = 6; // bars

const MARKUP = `<p class="v-note">Cover patches: click or drag, or move with the arrow keys and press space. The thin lines are what it said before.</p>
  <div class="c-poking">
    <div>
      <div class="c-over c-stage" tabindex="0" role="application" aria-label="The picture in patches. Arrow keys move, space covers or uncovers a patch."><img alt="The changed picture"><canvas></canvas><i class="c-here" hidden></i></div>
      <p class="c-row"><button type="button" class="c-reset x-quiet-button">As it was</button>
        <button type="button" class="c-occlude x-quiet-button" title="Covers each patch by itself">Occlusion map</button></p>
      <p class="c-poke-says v-note" role="status"></p>
    </div>
    <div>
      <p class="v-verdict" aria-live="polite"><b></b></p>
      <ol class="x-bars"></ol>
      <div class="c-changes"></div>
    </div>
  </div>
  <p class="c-poke-error t-wrong" role="alert" hidden></p>`;

// limits: of what can be changed. Each answer of the server is told of by an event "poked", with its probabilities.
export function pokeIn(element, server, table, limits) {
  element.insertAdjacentHTML("beforeend", MARKUP);
  const $ = (name) => element.querySelector(name), covered = new Set(), changes = {};
  const stage = $(".c-stage");
  let own, here = 0, painting = null, asking = false, again = false, resets = 0, maps = 0;

  $(".c-changes").append(...limits.map(slider));

  function slider({ name, title, unit, low, high, step: by }) {
    const label = document.createElement("label");
    label.className = "x-slider";
    label.innerHTML = `<span><b></b><output></output></span><input type="range">`;
    label.querySelector("b").textContent = title;
    const input = Object.assign(label.querySelector("input"), { min: low, max: high, step: by, value: 0 });
    input.dataset.name = name;
    const write = () => { label.querySelector("output").textContent = `${+input.value}${unit}`; };
    input.addEventListener("input", () => { write(); changes[name] = +input.value; follow(); });
    input.write = write;
    write();
    return label;
  }

  function load(value) {
    own = value;
    reset();
  }

  function reset() {
    resets++;
    again = false;
    covered.clear();
    for (const input of element.querySelectorAll(".c-changes input")) { input.value = 0; input.write(); changes[input.dataset.name] = 0; }
    $("img").src = own.image;
    $(".c-occlude").hidden = !own.looks;
    tellError($(".c-poke-error"), null);
    clearMap();
    draw(null);
  }

  // One question at a time, and then one about how it is by now.
  async function follow() {
    clearMap();
    if (asking) { again = true; return; }
    asking = true;
    const before = resets, answer = await ask(server, "poked", { token: own.token, covered: [...covered], changes });
    asking = false;
    if (again) { again = false; follow(); }
    if (before !== resets) return; // it is as it was again, or another picture
    tellError($(".c-poke-error"), answer.error);
    if (answer.error) return;
    $("img").src = answer.image;
    draw(answer.probabilities);
    element.dispatchEvent(new CustomEvent("poked", { detail: answer.probabilities }));
  }

  function draw(now) {
    const { names, shares } = own.all, best = (now ?? shares).reduce((top, p, i, all) => p > all[top] ? i : top, 0);
    const order = own.bars.slice(0, SHOWN).map(([name]) => names.indexOf(name));
    if (!order.includes(best)) order[order.length - 1] = best;
    $(".v-verdict b").textContent = `${names[best]} ${percent((now ?? shares)[best], 1)}`;
    $(".x-bars").replaceChildren(...order.map((i) => row(names[i], own.all.colors[i], (now ?? shares)[i], shares[i])));
  }

  function row(name, color, share, was) {
    const item = document.createElement("li");
    item.innerHTML = `<span class="v-name"></span><span class="v-bar"><i></i><s></s></span><span class="v-percent"></span>`;
    item.querySelector(".v-name").textContent = name;
    Object.assign(item.querySelector("i").style, { width: `${100 * share}%`, background: color });
    item.querySelector("s").style.left = `${100 * was}%`;
    item.querySelector(".v-percent").textContent = percent(share, 1);
    return item;
  }

  async function occlude() {
    reset(); // it is about the picture as it came
    const asked = maps;
    $(".c-poke-says").textContent = "Covering each patch …";
    const answer = await ask(server, "occlusion", { token: own.token });
    if (asked !== maps) return;
    tellError($(".c-poke-error"), answer.error);
    $(".c-poke-says").textContent = "";
    if (answer.error) return;
    const [h, w] = own.grid, top = Math.max(...answer.points), most = answer.points.indexOf(top);
    paint($("canvas"), w, h, Uint32Array.from(answer.points, (points) => {
      const place = step(Math.max(0, points), Math.max(top, 1)); // a point at least: noise must not glow
      return withAlpha(table[place], 255 * (0.15 + 0.65 * place / 255));
    }));
    $("canvas").hidden = false;
    $(".c-poke-says").textContent = top > 0.05
      ? `Covering row ${Math.floor(most / w) + 1}, column ${most % w + 1} costs ${answer.class} most: ${top.toFixed(1)} points.`
      : `Covering any one patch costs ${answer.class} nothing: it needs none of them by itself.`;
  }

  // Also one that is on its way.
  function clearMap() {
    maps++;
    $("canvas").hidden = true;
    $(".c-poke-says").textContent = "";
  }

  const grid = () => ({ h: own.grid[0], w: own.grid[1], P: own.grid[0] * own.grid[1] });

  // covers: whether the stroke covers or uncovers, by the patch that it began on.
  function stroke(patch, covers) {
    if (covered.has(patch) === covers) return;
    if (covers) covered.add(patch);
    else covered.delete(patch);
    follow();
  }

  function mark(patch) {
    const [h, w] = own.grid;
    here = patch;
    Object.assign($(".c-here").style, {
      left: `${100 * (patch % w) / w}%`, top: `${100 * Math.floor(patch / w) / h}%`, width: `${100 / w}%`, height: `${100 / h}%`,
    });
  }

  stage.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stage.focus();
    stage.setPointerCapture(event.pointerId);
    mark(patchAt(grid(), stage, event));
    painting = !covered.has(here);
    stroke(here, painting);
  });
  stage.addEventListener("pointermove", (event) => {
    if (painting === null) return;
    mark(patchAt(grid(), stage, event));
    stroke(here, painting);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { painting = null; });
  stage.addEventListener("focus", () => { mark(here); $(".c-here").hidden = false; });
  stage.addEventListener("blur", () => { $(".c-here").hidden = true; });
  stage.addEventListener("keydown", (event) => {
    const next = patchBeside(grid(), here, event.key);
    if (next === undefined && event.key !== " ") return;
    event.preventDefault();
    if (next === undefined) stroke(here, !covered.has(here));
    else mark(next);
  });

  $(".c-reset").onclick = reset;
  $(".c-occlude").onclick = occlude;
  return { load };
}
