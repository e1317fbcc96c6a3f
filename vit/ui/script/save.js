// A file that the server made, its content in base64, into the visitor's downloads.
import { bytes } from "./bytes.js";

export function save({ name, content }) {
  const href = URL.createObjectURL(new Blob([bytes(content)]));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // once the browser has it
}
