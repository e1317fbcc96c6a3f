// What covering the brightest fifth of a map's patches does to the prediction, beside random fifths.
import { ask } from "./ask.js";

const written = (points) => points.toFixed(1).replace(/^-0\.0$/, "0.0").replace("-", "−");

export const coverSentence = ({ brightest, random, draws }, name) =>
  `Covering the brightest fifth of it costs ${name} ${written(brightest)} points of probability; `
  + `a random fifth costs ${written(random)} (${draws.length} draws).`;

// Writes the sentence into output, unless what is drawn changed while the server computed.
export async function coverMap(tab, output, map, about = {}) {
  if (!map.some((weight) => weight > 0)) { output.textContent = "This map is empty: it has no brightest fifth."; return; }
  output.textContent = "Covering …";
  const asked = output.asked = (output.asked || 0) + 1;
  const answer = await ask(tab, "cover", { grid: [...map], ...about });
  if (output.asked !== asked) return;
  output.textContent = answer ? coverSentence(answer, tab.view.classes[answer.class]) : "";
}

export function forgetCover(output) {
  output.asked = (output.asked || 0) + 1;
  output.textContent = "";
}
