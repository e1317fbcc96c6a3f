// What is said of an answer, and the bar of a class.
import { article, percent } from "../../script/format.js";

export function verdict({ truth, known, bars }) {
  if (truth === null) return { className: "v-quiet", textContent: "True class not known" };
  if (!known) return { className: "v-quiet", textContent: `It is ${article(truth)}, a class this model never saw` };
  return truth === bars[0][0] ? { className: "v-right", textContent: "✓ Right" }
    : { className: "v-wrong", textContent: `✗ Wrong: it is ${article(truth)}` };
}

export function bar([name, share, color]) {
  const item = document.createElement("li");
  item.innerHTML = `<span class="v-name"></span><span class="v-bar"><i></i></span><span class="v-percent"></span>`;
  item.querySelector(".v-name").textContent = name;
  Object.assign(item.querySelector("i").style, { width: `${100 * share}%`, background: color });
  item.querySelector(".v-percent").textContent = percent(share, 1);
  return item;
}
