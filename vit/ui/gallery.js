// Both galleries of the page show the same pictures; a pick in one marks it in the other, even if that is not there yet.
const grid = element.querySelector(".v-gallery");

function mark(index) {
  window.vitPicked = { first: props.value?.pictures?.[0]?.src, index };
  [...grid.children].forEach((button, i) => button.setAttribute("aria-pressed", i === index));
}

function load() {
  const { pictures = [], note = "" } = props.value || {};
  grid.replaceChildren(...pictures.map(({ src, label }, index) => {
    const button = document.createElement("button");
    const image = document.createElement("img");
    image.src = src;
    image.alt = `Picture ${index + 1}, ${label}`;
    button.title = label;
    button.append(image);
    button.onclick = () => {
      window.dispatchEvent(new CustomEvent("vit-pick", { detail: index }));
      trigger("pick", { index });
    };
    return button;
  }));
  element.querySelector(".v-note").textContent = note;
  mark(window.vitPicked && window.vitPicked.first === pictures[0]?.src ? window.vitPicked.index : props.value?.picked ?? 0);
}

window.addEventListener("vit-pick", (event) => mark(event.detail));
watch("value", load);
load();
