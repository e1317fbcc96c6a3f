// Both galleries of the page show the same pictures; a pick in one marks it in the other, even if that is not there yet.
let picked = null; // the gallery's first picture, and the index of the one picked; an index of -1 is none
const galleries = new Set();

export function mark(index) {
  for (const gallery of galleries) {
    if (!gallery.element.isConnected) galleries.delete(gallery);
    else gallery.mark(index);
  }
}

export function mount({ element, props, trigger, watch, constants }) {
  const grid = element.querySelector(".v-gallery"), gallery = { element, mark: markHere };

  function markHere(index) {
    picked = { first: props.value?.pictures?.[0]?.src, index };
    [...grid.children].forEach((button, i) => {
      button.setAttribute("aria-pressed", i === index);
      button.tabIndex = i === Math.max(0, index) ? 0 : -1; // one stop for them all, with arrows inside
    });
  }

  function load() {
    const { pictures = [], note = "" } = props.value || {};
    grid.replaceChildren(...pictures.map(({ src, label, name }, index) => {
      const button = document.createElement("button"), image = document.createElement("img");
      image.src = src;
      image.alt = `Picture ${index + 1}, ${label}`;
      button.title = label;
      button.append(image);
      button.onclick = () => {
        mark(index);
        trigger(constants.event, { picture: name });
      };
      return button;
    }));
    element.querySelector(".v-note").textContent = note;
    markHere(picked && picked.first === pictures[0]?.src ? picked.index : props.value?.picked ?? 0);
  }

  grid.addEventListener("keydown", (event) => {
    const buttons = [...grid.children], columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const next = buttons[buttons.indexOf(event.target) + by];
    if (!by) return;
    event.preventDefault();
    next?.focus();
  });
  galleries.add(gallery);
  watch("value", load);
  load();
}
