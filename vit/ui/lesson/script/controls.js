// What several steps have: layer and head, who asks, radio buttons.
import { nameOf } from "../../script/patches.js";

// Sliders for what is chosen, each with what it is at. read: whether the read-out counts as a layer.
export function choosers(lesson, host, { layers = true, heads = true, read = true }) {
  const { view, state } = lesson, last = view.blocks + (read && view.readout ? 1 : 0), sliders = [];
  if (layers && last > 1) sliders.push(slider("layer", "Layer", last, (layer) => layer < view.blocks ? `${layer + 1} of ${view.blocks}` : "read-out"));
  if (heads && view.heads > 1) sliders.push(slider("head", "Head", view.heads, (head) => `${head + 1} of ${view.heads}`));
  function slider(name, title, count, says) {
    const label = document.createElement("label");
    label.className = "x-slider";
    label.innerHTML = `<span>${title} <output></output></span><input type="range" min="1" max="${count}" step="1" class="l-${name}">`;
    const input = label.querySelector("input");
    input.addEventListener("input", () => lesson.change({ [name]: input.value - 1 }));
    host.append(label);
    return () => {
      const at = Math.min(state[name], count - 1);
      input.value = at + 1;
      label.querySelector("output").textContent = says(at);
    };
  }
  return { draw: () => sliders.forEach((draw) => draw()) };
}

// Buttons for the tokens that are no patches, and the name of the token that is chosen. follows: it does not ask here.
export function asker(lesson, host, follows = false) {
  const { view, state } = lesson, row = document.createElement("p");
  row.className = "l-asker";
  row.innerHTML = `<b></b>`;
  for (const i of view.prefix.slice(0, 5).keys()) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "x-quiet-button", textContent: follows ? `Follow ${small(tokenName(view, i))}` : `${tokenName(view, i)} asks` });
    button.addEventListener("click", () => lesson.change({ asker: i }));
    row.append(button);
  }
  host.append(row);
  return { draw() {
    const reads = lesson.atReadOut && !follows;
    row.querySelector("b").textContent = reads ? "The read-out asks" : `${tokenName(view, state.asker)}${follows ? "" : " asks"}`;
    for (const button of row.querySelectorAll("button")) button.hidden = reads;
  } };
}

export function tokenName(view, token) {
  if (token >= view.prefix.length) return `The patch in ${nameOf(view, token - view.prefix.length)}`;
  const name = view.prefix[token];
  return name.startsWith("register") ? name.replace(/^r/, "R") : `The ${name}`;
}

// Within a sentence.
export const small = (name) => name.replace(/^[TR]/, (letter) => letter.toLowerCase());

export function radios(host, label, options, choose) {
  const group = document.createElement("div");
  group.className = "x-segments x-small";
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", label);
  group.append(...options.map(([name, title]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
    button.setAttribute("role", "radio");
    button.dataset.name = name;
    button.addEventListener("click", () => choose(name));
    return button;
  }));
  group.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key], all = [...group.children];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const next = all[(all.indexOf(event.target) + by + all.length) % all.length];
    next.click();
    next.focus();
  });
  host.append(group);
  return { draw(chosen) {
    for (const button of group.children) {
      button.setAttribute("aria-checked", button.dataset.name === chosen);
      button.tabIndex = button.dataset.name === chosen ? 0 : -1;
    }
  } };
}
