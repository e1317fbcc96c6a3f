// A file that the server made, its content in base64, into the visitor's downloads.
import { bytes } from "./bytes.js";

export function save({ name, content }) {
  const url = URL.createObjectURL(new Blob([bytes(content)]));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
