// What the visitor sent, as thumbnails: a click asks about one again, the cross beside it removes it from the page.
import { mark } from "../../script/gallery.js";

const MOST = 12;

export function mineIn(element, choose, instead) {
  const list = element.querySelector(".c-thumbs");
  let last = null; // that is answered, if one of them is

  document.addEventListener("refused", () => press(last));

  // sent: the picture's id, what the model sees of it, and the token that stands for it on the server; or null where
  // another picture is answered.
  function answered(sent) {
    last = null;
    if (!sent) return press(null);
    const { id, src, token } = sent;
    const before = [...list.children].find((item) => item.dataset.id === id);
    const item = before ?? document.createElement("span");
    if (!before) {
      item.dataset.id = id;
      item.innerHTML = `<button type="button" class="c-thumb" title="Your picture"><img alt="Your picture"></button>`
        + `<button type="button" class="c-remove" aria-label="Remove this picture">×</button>`;
      item.querySelector(".c-remove").onclick = () => remove(item);
      list.prepend(item);
      if (list.children.length > MOST) list.lastChild.remove();
    }
    item.querySelector("img").src = src;
    const button = item.firstChild;
    button.onclick = () => { mark(null); press(item); choose(item.dataset.token); };
    item.dataset.token = token;
    last = item;
    press(item);
    element.hidden = false;
  }

  function press(item) {
    for (const other of list.children) other.firstChild.setAttribute("aria-pressed", other === item);
  }

  function remove(item) {
    const shown = item.firstChild.getAttribute("aria-pressed") === "true";
    item.remove();
    element.hidden = !list.children.length;
    if (shown) instead();
  }

  return { answered };
}
