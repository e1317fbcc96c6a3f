// Words that open: where a word of the glossary stands in a text, a touch, or Enter, shows what it means, and what it is
// in the view at hand, with a picture where that says more.
import { ask } from "./ask.js";
import { paint } from "./canvas.js";
import { colorTable } from "./color.js";
import { drawMap, readPicture } from "./picture.js";

const TEXTS = ".l-words, .l-told, .l-differ, .v-note, figcaption, .v-caption, .x-telling-words, .t-about, .i-body p";
const NOT = "button, a, label, summary, select, output, .g-card, .g-word, [aria-live], [role=img], .o-way figcaption"; // there the head is the one that classifies, and no attention's
const QUIET = 300; // milliseconds without a change, after which words are marked: never within a frame of a drag

// Where a text has the words of `entries`: [start, end, entry] in order, each entry once.
export function wordsIn(text, entries) {
  const forms = new Map(entries.flatMap((entry) => [entry.name, ...entry.forms].map((form) => [form.toLowerCase(), entry])));
  const longest = [...forms.keys()].sort((a, b) => b.length - a.length).map((form) => form.replace(/[-]/g, "\\$&"));
  const found = [], seen = new Set();
  for (const match of text.matchAll(new RegExp(`(?<![\\w-]|arrow )(${longest.join("|")})(?![\\w-])`, "gi"))) {
    const entry = forms.get(match[0].toLowerCase());
    if (seen.has(entry)) continue;
    seen.add(entry);
    found.push([match.index, match.index + match[0].length, entry]);
  }
  return found;
}

export function mount({ element, props, server, watch, constants }) {
  const card = element.querySelector(".g-card"), $ = (name) => card.querySelector(name);
  const texts = new Set(), table = colorTable(constants.colors);
  let opener = null, timer = 0, opened = 0;

  const observer = new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      const text = target.nodeType === 1 ? target.closest(TEXTS) : null;
      if (text) texts.add(text);
      for (const node of addedNodes) if (node.nodeType === 1) node.querySelectorAll(TEXTS).forEach((found) => texts.add(found));
    }
    clearTimeout(timer);
    timer = setTimeout(markAll, QUIET);
  });
  observer.observe(document.body, { childList: true, subtree: true });
  document.querySelectorAll(TEXTS).forEach((text) => texts.add(text));
  markAll();

  function markAll() {
    for (const text of texts) if (text.isConnected && !text.closest(NOT)) mark(text);
    texts.clear();
    observer.takeRecords(); // what was done here is nothing to look at
  }

  // A word is marked once in a text.
  function mark(text) {
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT), nodes = [];
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(NOT)) nodes.push(walker.currentNode);
    const left = new Set(constants.entries);
    text.querySelectorAll(".g-word").forEach((word) => left.delete(constants.entries.find(({ name }) => name === word.dataset.word)));
    for (const node of nodes) for (const [start, end, entry] of wordsIn(node.data, [...left]).reverse()) {
      left.delete(entry);
      const word = Object.assign(document.createElement("span"), { className: "g-word", tabIndex: 0 });
      word.setAttribute("role", "button");
      word.setAttribute("aria-haspopup", "dialog");
      word.dataset.word = entry.name;
      const rest = node.splitText(start);
      rest.splitText(end - start);
      rest.replaceWith(word);
      word.append(rest);
    }
  }

  function open(word) {
    const entry = constants.entries.find(({ name }) => name === word.dataset.word);
    opener = word;
    $(".g-name").textContent = entry.name;
    $(".g-sentence").textContent = entry.sentence;
    $(".g-here").textContent = "…";
    $(".g-of").textContent = "";
    $(".g-picture").hidden = true;
    $(".g-step").textContent = `Step ${entry.step} of the lesson`;
    $(".g-step").dataset.lesson = entry.step;
    card.hidden = false;
    place();
    card.focus({ preventScroll: true });
    fill();
  }

  // at: "layer.head.query" that the word's tab shows. Another word may be open by the time there is an answer.
  async function fill() {
    const { word } = opener.dataset, at = opener.closest("[data-at]")?.dataset.at ?? "";
    const turn = ++opened, { token, message = "…" } = props.value ?? {}; // none until the page is filled
    const said = token ? await ask(server, "at_hand", { token, word, at }) : { error: message };
    const picture = said.image && await readPicture(said.image);
    if (turn !== opened) return;
    $(".g-here").textContent = said.says ?? said.error;
    $(".g-of").textContent = said.of ? `Of the chosen model, ${said.of}, and its picture.` : "";
    $(".g-picture").hidden = !picture;
    if (picture) draw(said, picture);
    place();
  }

  function draw({ grid: [h, w], map, top, patch }, picture) {
    const mark = $(".g-picture i"), canvas = $(".g-picture canvas"), { size, pixels } = picture;
    if (map) drawMap(canvas, { ...picture, h, w }, table, map, top);
    else paint(canvas, size.width, size.height, new Uint32Array(pixels.buffer.slice(0)));
    $(".g-picture").style.setProperty("--rows", h);
    $(".g-picture").style.setProperty("--columns", w);
    mark.hidden = patch < 0;
    Object.assign(mark.style, {
      left: `${100 * (patch % w) / w}%`, top: `${100 * Math.floor(patch / w) / h}%`, width: `${100 / w}%`, height: `${100 / h}%`,
    });
  }

  // Below its word, or above where there is no room.
  function place() {
    if (card.hidden || !opener.isConnected) return;
    const zoom = Number(document.body.style.zoom) || 1, box = opener.getBoundingClientRect();
    const [width, height] = [card.offsetWidth, card.offsetHeight], [across, down] = [innerWidth / zoom, innerHeight / zoom];
    const below = box.bottom / zoom + 6;
    card.style.left = `${Math.max(8, Math.min(box.left / zoom, across - width - 8))}px`;
    card.style.top = `${below + height < down ? below : Math.max(8, box.top / zoom - height - 6)}px`;
  }

  function close(back) {
    if (card.hidden) return;
    card.hidden = true;
    if (back && opener?.isConnected) opener.focus({ preventScroll: true });
  }

  document.addEventListener("click", ({ target }) => {
    const word = target.closest?.(".g-word");
    if (word) open(word);
    else if (!target.closest?.(".g-card") || target.closest(".g-card button")) close(Boolean(target.closest?.(".g-close")));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !card.hidden) {
      event.stopPropagation();
      close(true);
    } else if ((event.key === "Enter" || event.key === " ") && event.target.matches?.(".g-word")) {
      event.preventDefault();
      open(event.target);
    }
  }, true);
  watch("value", () => { if (!card.hidden) fill(); });
  addEventListener("scroll", place, { passive: true, capture: true }); // a presented lesson scrolls by itself
}
