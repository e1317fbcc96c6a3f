// A question before its answer: the answer is computed once somebody has chosen.
import { article, percent } from "../../script/format.js";

// asked: {text, options, answer}. answer(): {right: an index, says: a sentence}, of this picture and model, or null.
export function ask(host, asked) {
  host.replaceChildren();
  host.hidden = !asked;
  if (!asked) return;
  host.innerHTML = `<p class="l-asked"></p><p class="l-options"></p><p class="l-answer" role="status"></p>`;
  const $ = (name) => host.querySelector(name);
  $(".l-asked").textContent = asked.text;
  $(".l-options").append(...asked.options.map((option, i) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "x-quiet-button", textContent: option });
    button.addEventListener("click", () => choose(i));
    return button;
  }));

  async function choose(i) {
    const buttons = [...$(".l-options").children];
    buttons.forEach((button, k) => { button.disabled = true; button.classList.toggle("chosen", k === i); });
    $(".l-answer").textContent = "…";
    const found = await asked.answer();
    if (!host.isConnected || !buttons[0].isConnected) return;
    if (!found) {
      $(".l-answer").textContent = "";
      buttons.forEach((button) => { button.disabled = false; });
      return;
    }
    buttons[found.right]?.classList.add("right");
    $(".l-answer").textContent = `${found.right === i ? "Yes." : `No: ${asked.options[found.right]}.`} ${found.says}`;
  }
}

export const sure = (view, [index, share]) => `${article(view.classes[index])}, ${percent(share, 1)}`;
