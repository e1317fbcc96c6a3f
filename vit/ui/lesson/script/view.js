// The lesson: seven steps on one picture and one model. A step's module builds what is touched, and the rest is here.
import { setAddress } from "../../script/address.js";
import { ask as askServer } from "../../script/ask.js";
import { colorTable } from "../../script/color.js";
import { follow } from "../../script/links.js";
import { readPicture } from "../../script/picture.js";
import * as answer from "./answer.js";
import * as asking from "./asking.js";
import * as blocks from "./blocks.js";
import { copyStep, followLink } from "./link.js";
import * as heads from "./heads.js";
import * as learning from "./learning.js";
import { unpack } from "./numbers.js";
import * as patches from "./patches.js";
import * as places from "./places.js";
import { ask } from "./question.js";

const MODULES = { patches, places, asking, heads, blocks, answer, learning };

export function mount({ element, props, server, trigger, watch, constants }) {
  const $ = (name) => element.querySelector(name);
  const lesson = {
    element, server, constants, $,
    trigger: (name, detail) => trigger(constants.events[name], detail),
    table: colorTable(constants.colors),
    view: null, // what the server sent, with the picture's pixels
    state: { step: 0, layer: 0, head: 0, asker: 0 }, // asker: a token, the prefix first
    done: new Set(), // names of completed steps
    kept: new Map(), // answers of the server about this view
    current: null, // the step on show, drawn
    get atReadOut() { return lesson.state.layer >= lesson.view.blocks; },
    fetch, change, complete,
  };
  let stale = true, wanted = null; // a link of another tab that is not followed yet

  new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && stale && load()).observe(element);
  watch("value", () => { stale = true; if (element.getClientRects().length) load(); }); // presented, it has no offsetParent
  $(".l-previous").addEventListener("click", () => turn(-1));
  $(".l-next").addEventListener("click", () => turn(1));
  $(".l-link").addEventListener("click", () => copyStep(lesson));
  $(".l-present").addEventListener("click", () => present(!element.classList.contains("presenting")));
  document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) present(false); });
  document.addEventListener("keydown", onKey);
  follow("lesson", (link) => { wanted = link; if (lesson.view && !stale) open(); });

  async function load() {
    stale = false;
    const value = props.value || { message: "Loading …" };
    $(".v-message").hidden = !("message" in value);
    $(".v-message").textContent = value.message || "";
    $(".l-view").hidden = "message" in value;
    if ("message" in value) {
      lesson.view = null;
      if (element.classList.contains("presenting")) present(false); // its button is hidden with the step
      return;
    }
    const [h, w] = value.grid, before = lesson.view;
    const view = { ...value, h, w, P: h * w, N: value.prefix.length + h * w, ...await readPicture(value.image) };
    if (props.value !== value) return; // another picture came meanwhile
    lesson.view = view;
    lesson.kept.clear();
    const { state } = lesson, fits = before && ["blocks", "heads", "grid", "prefix"].every((name) => String(before[name]) === String(view[name]));
    if (!fits) Object.assign(state, { layer: 0, head: 0, asker: view.prefix.length + view.start });
    if (!before) followLink(lesson);
    open();
  }

  function show(step) {
    const { view, state } = lesson, said = view.steps[step];
    state.step = step;
    $(".l-steps").replaceChildren(...view.steps.map(({ title, name }, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button", onclick: () => turn(i - state.step) });
      button.innerHTML = `<b>${i + 1}</b><span></span>`;
      button.querySelector("span").textContent = title;
      button.classList.toggle("done", lesson.done.has(name));
      if (i === step) button.setAttribute("aria-current", "step");
      return button;
    }));
    $("h2").textContent = `${step + 1} ${said.title}`;
    $(".l-previous").disabled = !step;
    $(".l-next").disabled = step === view.steps.length - 1;
    $(".l-words").textContent = said.words;
    $(".l-formula").textContent = said.formula;
    $(".l-code").replaceChildren(...said.code.map(line));
    for (const name of [".l-note", ".l-error"]) $(name).hidden = true;
    writeTask();
    $(".l-figure").className = "l-figure";
    $(".l-figure").replaceChildren();
    $(".l-more").replaceChildren();
    element.dataset.step = said.name;
    ask($(".l-question"), null);
    lesson.current = MODULES[said.name].build(lesson, $(".l-figure"), $(".l-more"));
    ask($(".l-question"), lesson.current.question);
    draw();
  }

  function line({ file, place, number, text }) {
    const row = document.createElement("p"), code = Object.assign(document.createElement("code"), { textContent: text });
    row.append(Object.assign(document.createElement("span"), { textContent: `${file}:${number}, ${place}` }), code);
    return row;
  }

  async function draw() {
    const { current } = lesson, held = document.activeElement, at = [...element.querySelectorAll("button")].indexOf(held);
    await current.draw();
    // A button that was drawn anew keeps the focus: who pressed it by key goes on from there.
    if (at >= 0 && !held.isConnected && document.activeElement === document.body) element.querySelectorAll("button")[at]?.focus({ preventScroll: true });
    const { layer, head, asker } = lesson.state;
    element.dataset.at = `${layer}.${head}.${Math.max(-1, asker - lesson.view.prefix.length)}`; // the glossary's numbers are of it
    if (lesson.current === current) element.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
  }

  function change(changes) {
    Object.assign(lesson.state, changes);
    draw();
  }

  // An answer of the server about this view, asked for once; null where there is none, and the page says why.
  async function fetch(name, question = {}) {
    const { view, kept } = lesson, key = JSON.stringify([name, question]);
    if (!kept.has(key)) kept.set(key, askServer(server, name, { token: view.token, ...question }).then(async (said) =>
      "bytes" in said ? { ...said, ...await unpack(said) } : said));
    const said = await kept.get(key);
    if (lesson.view !== view) return null;
    if (said.error) {
      kept.delete(key);
      $(".l-error").textContent = said.error;
      $(".l-error").hidden = false;
      return null;
    }
    $(".l-error").hidden = true;
    return said;
  }

  function writeTask() {
    const { view, state } = lesson, { name, task } = view.steps[state.step], done = lesson.done.has(name);
    $(".l-task").classList.toggle("done", done);
    $(".l-task").textContent = done ? `✓ Done: ${task}` : `To do: ${task}`;
  }

  // name: of the step, which may not be on show any more.
  function complete(name) {
    if (!lesson.view || lesson.done.has(name)) return;
    lesson.done.add(name);
    $(".l-steps").children[lesson.view.steps.findIndex((step) => step.name === name)].classList.add("done");
    writeTask();
  }

  function turn(by) {
    const step = lesson.state.step + by;
    if (!lesson.view || step < 0 || step >= lesson.view.steps.length) return;
    show(step);
    setAddress("step", String(step + 1), false);
    $("h2").focus({ preventScroll: true });
    element.scrollTop = 0; // presented, it scrolls by itself
    if (element.getBoundingClientRect().top < 0) element.scrollIntoView();
  }

  // Shows the step, after a link of another tab with what that tab shows: "layer.head.query" from 0, the query a patch or -1.
  function open() {
    const { view, state } = lesson, { lesson: step = state.step + 1, at = "" } = wanted ?? {};
    const [layer, head, query] = at.split(".").map(Number);
    const read = view.prefix[0] === "class token" ? 0 : state.asker; // who asks there where no patch does
    if (head >= 0) Object.assign(state, { layer, head, asker: query >= 0 ? view.prefix.length + query : read });
    if (wanted) setAddress("step", step, false);
    wanted = null;
    show(step - 1);
  }

  function present(on) {
    element.classList.toggle("presenting", on);
    document.body.style.overflow = on ? "hidden" : "";
    $(".l-present").textContent = on ? "End" : "Present";
    if (on) document.documentElement.requestFullscreen?.().catch(() => {}); // not every browser may; the step fills the window then
    else if (document.fullscreenElement) document.exitFullscreen();
  }

  function onKey(event) {
    if (!element.classList.contains("presenting")) return;
    if (event.key === "Escape") present(false);
    const by = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    if (!by || event.target.matches?.("input, select, textarea")) return;
    event.preventDefault();
    turn(by);
  }
}
