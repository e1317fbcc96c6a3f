// The gallery of the test set, page by page, and the visitor's own pictures above it.
import { tellError } from "../../script/ask.js";
import { fill, mark, markAtFirst } from "../../script/gallery.js";
import { mineIn } from "./mine.js";
import { offer } from "./offered.js";
import { askUntilThere, drawWaiting } from "./server.js";

const KEPT = 200; // pages, of some 80 kB

export function mount({ element, props, server, trigger, watch, constants }) {
  const $ = (name) => element.querySelector(name), pages = new Map();
  const state = { order: "mixed", label: -1, seed: 0, page: 0 };
  let turn = 0; // of what is asked for: only the latest is shown
  let drawn = null; // the model, order, class, seed and page on show

  const choose = (picture) => trigger(constants.pick, { picture });
  const mine = mineIn($(".c-mine"), (token) => trigger(constants.pick, { token }), () => $(".v-gallery button")?.click());

  function load() {
    const value = props.value;
    if (!value?.page) return;
    const seen = state.source === value.source;
    if (state.model !== value.model) pages.clear();
    Object.assign(state, { model: value.model, source: value.source, count: value.count });
    if (!seen) {
      Object.assign(state, { order: "mixed", label: -1, seed: 0, page: 0 });
      options($(".c-order"), Object.entries(value.orders));
      options($(".c-class"), [[-1, "All classes"], ...value.classes.map((name, i) => [i, name])]);
      $(".c-number").max = value.count - 1;
      // Until now they had nothing to ask about.
      for (const control of [".c-order", ".c-class", ".c-number"]) $(control).disabled = false;
    }
    pages.set(named({ ...state, order: "mixed", label: -1, seed: 0, page: 0 }), value.page);
    offer(value.models, value.earlier);
    $(".v-note").textContent = value.note;
    show();
  }

  const named = ({ order, label, seed, page }) => [order, label, order === "mixed" ? seed : 0, page].join();

  async function show() {
    const asked = ++turn, question = { model: state.model, order: state.order, label: state.label, seed: state.seed, page: state.page };
    const still = () => asked === turn && element.isConnected;
    const answer = pages.get(named(question))
      ?? await askUntilThere(server, "browse", question, still, (waiting) => drawWaiting($(".c-wait"), waiting));
    if (!still()) return;
    $(".c-wait").hidden = true;
    tellError($(".c-error"), answer.error);
    if (answer.error) return stay();
    pages.set(named(question), answer);
    if (pages.size > KEPT) pages.delete(pages.keys().next().value);
    draw(answer);
  }

  function draw({ pictures, page, pages: last, count }) {
    fill($(".v-gallery"), pictures, choose);
    $(".c-where").textContent = count ? `Page ${page + 1} of ${last} · ${count.toLocaleString("en")} pictures` : "There are none";
    $(".c-back").disabled = page === 0;
    $(".c-next").disabled = page >= last - 1;
    drawn = { model: state.model, order: state.order, label: state.label, seed: state.seed, page };
    stay();
    $(".c-shuffle").disabled = state.order !== "mixed";
    element.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
  }

  // What is on show is what the next question goes on from.
  function stay() {
    Object.assign(state, drawn, { model: state.model });
    $(".c-order").value = state.order;
    $(".c-class").value = state.label;
  }

  function change(changes) {
    Object.assign(state, { page: 0 }, changes);
    show();
  }

  $(".c-order").onchange = () => change({ order: $(".c-order").value });
  $(".c-class").onchange = () => change({ label: Number($(".c-class").value) });
  $(".c-shuffle").onclick = () => change({ seed: state.seed + 1 });
  $(".c-back").onclick = () => change({ page: Math.max(0, state.page - 1) });
  $(".c-next").onclick = () => change({ page: state.page + 1 });
  $(".c-cancel").onclick = () => {
    $(".c-wait").hidden = true;
    if (drawn.model !== state.model) return change({ order: "mixed" }); // what is on show is in another model's order
    turn++;
    stay();
  };
  $(".c-number").onchange = () => {
    const number = $(".c-number").valueAsNumber;
    if (!Number.isInteger(number) || number < 0 || number >= state.count) {
      tellError($(".c-error"), `There are pictures 0 to ${(state.count - 1).toLocaleString("en")}; type one of these numbers.`);
      return;
    }
    tellError($(".c-error"), null);
    mark(`${state.source}-${number}`);
    choose(`${state.source}-${number}`);
  };
  element.closest(".gradio-container").addEventListener("answered", ({ detail }) => mine.answered(detail));
  watch("value", () => { load(); mark(props.value?.picked ?? null); });
  load();
  markAtFirst(props.value?.picked);
}

function options(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => Object.assign(document.createElement("option"), { value, text })));
}
