// Questions to the server. null: it has no answer, and the page says why; or another picture came meanwhile.
export async function ask(tab, probe, question = {}) {
  const { $, server, view } = tab;
  // Gradio answers undefined where the request failed.
  const answer = await server[probe]({ token: view.token, ...question }).catch(() => null)
    ?? { error: "The server can't be reached; what is drawn here stays usable. Try again, or reload the page." };
  if (tab.view !== view) return null;
  $(".x-error").textContent = answer.error || "";
  $(".x-error").hidden = !answer.error;
  return answer.error ? null : answer;
}
