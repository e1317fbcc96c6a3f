// A picture's pixels, and numbers of its patches drawn over it.
import { blend } from "./blend.js";
import { paint } from "./canvas.js";
import { step } from "./color.js";

// Reads the picture once: its pixels, and their luma (ITU-R BT.601).
export async function readPicture(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const { width, height } = image, canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const gray = Float32Array.from({ length: width * height }, (_, i) => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  return { size: { width, height }, gray, pixels: data };
}

// A number a patch, from 0 to top, over the picture in gray. picture: as it was read, with its grid of patches, h and w.
export function drawMap(canvas, picture, table, map, top) {
  const steps = Array.from(map, (weight) => Math.max(0, step(weight, top)));
  const pixels = blend(picture, (patch) => table[steps[patch]], (patch) => 0.3 + 0.5 * steps[patch] / 255);
  paint(canvas, picture.size.width, picture.size.height, pixels);
}
