// What covering the brightest fifth of a map's patches does to the prediction, beside random fifths.
import { ask } from "./ask.js";

export const coverSentence = ({ brightest, random, draws }, name) =>
  `Covering the brightest fifth of it costs ${name} ${brightest.toFixed(1)} points of probability; `
  + `a random fifth costs ${random.toFixed(1)} (${draws.length} draws).`;

// Writes the sentence into output, unless what is drawn changed while the server computed.
export async function coverMap(tab, output, map, about = {}) {
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
