// Questions to the server, each a dict, as each answer is; {error: a sentence, lost: true} where none came, or where the
// server had no place for the question: what it would have said is not known then.
const AGAIN = 2000; // milliseconds

export async function ask(server, name, question) {
  // Gradio answers undefined where the request failed.
  return await server[name](question).catch(() => null)
    ?? { lost: true, error: "The server can't be reached; what is drawn here stays usable. Try again, or reload the page." };
}

// The same, asked again until it is answered. tell: called with the sentence each time that it is not.
export async function askUntilAnswered(server, name, question, tell = () => {}) {
  for (;;) {
    const answer = await ask(server, name, question);
    if (!answer.lost) return answer;
    tell(answer.error);
    await new Promise((done) => setTimeout(done, AGAIN));
  }
}

// A line for what went wrong: shown with its sentence, hidden where there is none.
export function tellError(line, error) {
  line.hidden = !error;
  line.textContent = error || "";
}
