// What a change does to the share of a class, in points.
import { percent } from "../../script/format.js";

export function changeOf(name, before, now, how) {
  const difference = Math.round(1000 * (now - before)) / 10;
  const words = difference === 0 ? "no different to a tenth of a point" : `${Math.abs(difference).toFixed(1)} points ${difference < 0 ? "less" : "more"}`;
  return `${name}: ${percent(before, 1)} as it is, ${percent(now, 1)} ${how}, ${words}.`;
}
