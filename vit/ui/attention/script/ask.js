// Questions about the picture on show. null: there is no answer, and the page says why; or another picture came meanwhile.
import { ask as askServer, tellError } from "../../script/ask.js";

export async function ask(tab, probe, question = {}) {
  const { $, server, view } = tab;
  const answer = await askServer(server, probe, { token: view.token, ...question });
  if (tab.view !== view) return null;
  tellError($(".x-error"), answer.error);
  return answer.error ? null : answer;
}
