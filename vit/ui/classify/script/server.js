// What takes the server a while.
import { ask } from "../../script/ask.js";

// Asks again while the server computes what all of the test set needs. still(): whether anybody waits for it.
export async function askUntilThere(server, name, question, still, tell) {
  for (;;) {
    const answer = await ask(server, name, question);
    if (!still() || !answer.waiting) return answer;
    if (answer.waiting.error) return { error: answer.waiting.error };
    tell(answer.waiting);
    await new Promise((done) => setTimeout(done, 500));
    if (!still()) return answer;
  }
}

// Progress as {done, of}, on a bar and in words.
export function drawWaiting(element, { done, of }) {
  element.hidden = false;
  element.querySelector("i").style.width = `${100 * done / of}%`;
  element.querySelector(".c-wait-says").textContent =
    `The model looks at its test pictures: ${done.toLocaleString("en")} of ${of.toLocaleString("en")}`;
}
