// What a change does to the share of a class, in points.
import { percent } from "./format.js";

// Points between two shares, with their sign: "−28.0", "+0.2", "0".
export function points(before, now) {
  const difference = Math.round(1000 * (now - before)) / 10;
  return difference < 0 ? `−${(-difference).toFixed(1)}` : difference ? `+${difference.toFixed(1)}` : "0";
}

// was, is: words on what each of the two shares is of.
export function changeOf(name, before, now, was, is) {
  const difference = points(before, now);
  const words = difference === "0" ? "no different to a tenth of a point" : `${difference.slice(1)} points ${now < before ? "less" : "more"}`;
  return `${name}: ${percent(before, 1)} ${was}, ${percent(now, 1)} ${is}, ${words}.`;
}
