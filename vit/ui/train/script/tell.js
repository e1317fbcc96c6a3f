// The figures of the moment on show, and where it stands in the curves.
import { percent } from "../../script/format.js";

export function wordsOf(moment) {
  const words = [`Step ${moment.step.toLocaleString("en")}`];
  if (!moment.step) return `${words[0]} · before training: weights at random`;
  words.push(`epoch ${moment.epoch.toFixed(2)}`, `loss ${moment.loss.toFixed(2)}`, `training ${percent(moment.accuracy, 1)}`);
  if (moment.validation != null) words.push(`validation ${percent(moment.validation, 1)}`);
  words.push(`rate ${moment.lr < 1e-4 ? moment.lr.toExponential(1) : moment.lr.toPrecision(2)}`);
  return words.join(" · ");
}

export function tell({ $, element, following, view }, moment, newest) {
  const scrubbed = !newest && view.moments.length > 1;
  $(".t-then").textContent = wordsOf(moment);
  $(".now").hidden = following || !view.run;
  $(".now").textContent = view.live ? "Back to live" : "Back to the end";
  element.dataset.step = moment.step;
  document.documentElement.style.setProperty("--scrub", moment.seconds);
  document.documentElement.style.setProperty("--scrubbed", +scrubbed);
  $(".t-forming").classList.toggle("t-scrubbed", scrubbed);
}
