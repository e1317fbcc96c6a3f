// The moments as a GIF, of the layer that is on show.
import { save } from "../../script/save.js";
import { keyOf } from "./moments.js";

export async function saveAnimation({ $, layer, server, view }) {
  const button = $(".t-gif"), name = "Save as GIF";
  button.disabled = true;
  button.textContent = "Drawing …";
  const answer = await server.animate(keyOf(view), layer).catch(() => null) ?? { error: "The server can't be reached" };
  if (!answer.error) save(answer);
  button.textContent = answer.error ?? name;
  button.disabled = false;
}
