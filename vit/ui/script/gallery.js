// Galleries of pictures: a pick in one marks it in all, even in one that is not there yet.
let picked; // the picture's name; null is none of them, undefined that nobody has said yet
let answered = null; // the picture that the page shows an answer to
let refused = false; // what was picked last has no answer
const galleries = new Set();

// name: what Python said is picked, or what a click did.
export function mark(name) {
  picked = name;
  refused = false;
  for (const gallery of galleries) {
    if (gallery.isConnected) markIn(gallery);
    else galleries.delete(gallery);
  }
}

// name: of what there is an answer to now. What is picked and still asked about stays marked meanwhile.
export function answer(name) {
  answered = name;
  if (refused) refuse();
}

// A pick that gets no answer leaves the marks to what has one.
export function refuse() {
  mark(answered);
  refused = true;
  document.dispatchEvent(new CustomEvent("refused"));
}

// What a gallery opens with, unless another one knows better.
export function markAtFirst(name) {
  if (picked === undefined) mark(name);
}

function markIn(gallery) {
  const buttons = [...gallery.children], at = Math.max(0, buttons.findIndex((button) => button.dataset.name === picked));
  buttons.forEach((button, i) => {
    button.setAttribute("aria-pressed", button.dataset.name === picked);
    button.tabIndex = i === at ? 0 : -1; // one stop for them all, with arrows inside
  });
}

// Fills a gallery with buttons. choose: told the name of the one that is clicked.
export function fill(gallery, pictures, choose) {
  gallery.replaceChildren(...pictures.map(({ src, label, name, title }, index) => {
    const button = document.createElement("button"), image = document.createElement("img");
    image.src = src;
    image.alt = `Picture ${index + 1}, ${label}`;
    button.title = title ?? label;
    button.dataset.name = name;
    button.append(image);
    button.onclick = () => {
      mark(name);
      choose(name);
    };
    return button;
  }));
  gallery.onkeydown = move;
  galleries.add(gallery);
  markIn(gallery);
}

function move(event) {
  const grid = event.currentTarget, buttons = [...grid.children];
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (!by) return;
  event.preventDefault();
  buttons[buttons.indexOf(event.target) + by]?.focus();
}

export function mount({ element, props, trigger, watch, constants }) {
  function load() {
    const { pictures = [], note = "" } = props.value || {};
    fill(element.querySelector(".v-gallery"), pictures, (picture) => trigger(constants.event, { picture }));
    element.querySelector(".v-note").textContent = note;
  }

  watch("value", () => { load(); mark(props.value?.picked ?? null); });
  load();
  markAtFirst(props.value?.picked);
}
