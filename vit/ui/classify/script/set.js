// The whole test set of a model: measured when asked for, drawn in numbers, each of which leads to its pictures.
import { ask, tellError } from "../../script/ask.js";
import { fill } from "../../script/gallery.js";
import { percent } from "../../script/format.js";
import { save } from "../../script/save.js";
import { askUntilThere, drawWaiting } from "./server.js";

export const share = (value) => value == null ? "–" : `${(100 * value).toFixed(2)}%`;

export function setIn(element, server, pick) {
  const $ = (name) => element.querySelector(name);
  let model, turn = 0;

  function load(value) {
    if (value.model === model) return;
    model = value.model;
    turn++;
    $(".c-measured").hidden = $(".c-wait").hidden = $(".c-set-error").hidden = true;
    $(".c-set-start").hidden = false;
  }

  async function measure() {
    const asked = ++turn;
    $(".c-set-start").hidden = true;
    const answer = await askUntilThere(server, "measured", { model }, () => asked === turn && element.isConnected,
      (waiting) => drawWaiting($(".c-wait"), waiting));
    if (asked !== turn) return;
    $(".c-wait").hidden = true;
    tellError($(".c-set-error"), answer.error);
    $(".c-set-start").hidden = !answer.error;
    if (answer.error || answer.waiting) return;
    draw(answer);
    $(".c-measured").hidden = false;
  }

  function draw(found) {
    const [low, high] = found.interval.map(share);
    $(".c-accuracy").textContent = `Accuracy ${share(found.accuracy)} of ${found.n.toLocaleString("en")} test pictures `
      + `(95% interval ${low} to ${high})`;
    drawConfusion(found);
    drawReliability($(".c-reliability"), found);
    $(".c-cell").replaceChildren();
    fill($(".c-mistakes"), found.mistakes, pick);
  }

  function drawConfusion({ confusion, classes, per_class: right }) {
    const head = document.createElement("tr"), short = (name) => Object.assign(document.createElement("th"), { textContent: name });
    head.append(short(""), ...classes.map(short), short("right"));
    $(".c-confusion").replaceChildren(head, ...confusion.map((row, i) => {
      const line = document.createElement("tr"), total = row.reduce((a, b) => a + b, 0);
      line.append(short(classes[i]), ...row.map((count, j) => cell(count, total, i, j, classes)));
      line.append(Object.assign(document.createElement("td"), { textContent: right[i] == null ? "–" : percent(right[i], 1) }));
      return line;
    }));
  }

  function cell(count, total, i, j, classes) {
    const item = document.createElement("td");
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: count, disabled: !count });
    button.setAttribute("aria-label", `${count} of ${classes[i]} taken for ${classes[j]}`);
    item.style.setProperty("--share", total ? count / total : 0);
    item.className = i === j ? "right" : "wrong";
    button.onclick = async () => {
      const answer = await ask(server, "cell", { model, true: i, taken: j });
      tellError($(".c-set-error"), answer.error);
      if (!answer.error) fill($(".c-cell"), answer.pictures, pick);
    };
    item.append(button);
    return item;
  }

  async function saveFile({ what, format }) {
    const answer = await ask(server, "export", { model, what, format });
    tellError($(".c-set-error"), answer.error);
    if (!answer.error) save(answer);
  }

  $(".c-measure").onclick = measure;
  $(".c-cancel").onclick = () => { turn++; $(".c-wait").hidden = true; $(".c-set-start").hidden = false; };
  for (const button of element.querySelectorAll("[data-what]")) button.onclick = () => saveFile(button.dataset);
  return { load };
}

// Accuracy over confidence: on the diagonal the model is as sure as it is right.
function drawReliability(element, { reliability, temperature, calibration_error: errors }) {
  const names = ["as trained", `temperature ${temperature}`], lines = reliability.map((rows, i) => {
    const points = rows.filter(([count]) => count).map(([, sure, right]) => `${100 * sure},${100 - 100 * right}`);
    return `<polyline class="c-line-${i}" points="${points.join(" ")}"/>`
      + points.map((point) => `<circle class="c-line-${i}" cx="${point.split(",")[0]}" cy="${point.split(",")[1]}" r="1.6"/>`).join("");
  });
  element.innerHTML = `<svg viewBox="-1 -1 102 102" role="img" aria-label="Accuracy over confidence, in 15 steps">`
    + `<path class="c-diagonal" d="M0 100L100 0"/><path class="c-axes" d="M0 0V100H100"/>${lines.join("")}</svg>`
    + `<ul>${names.map((name, i) => `<li class="c-line-${i}">${name}: `
      + `expected calibration error ${(100 * errors[i]).toFixed(2)} points</li>`).join("")}`
    + `<li>Across: how sure it is. Up: how often it is right. Below the line it is too sure.</li></ul>`;
}
