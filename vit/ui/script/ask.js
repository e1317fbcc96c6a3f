// Questions to the server, each a dict, as each answer is; {error: a sentence, lost: true} where none came.
export async function ask(server, name, question) {
  // Gradio answers undefined where the request failed.
  return await server[name](question).catch(() => null)
    ?? { lost: true, error: "The server can't be reached; what is drawn here stays usable. Try again, or reload the page." };
}

// A line for what went wrong: shown with its sentence, hidden where there is none.
export function tellError(line, error) {
  line.hidden = !error;
  line.textContent = error || "";
}
