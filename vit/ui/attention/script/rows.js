// Where patches were pooled to be sent, a chosen patch's own maps: asked for once, drawn in place of its pool's.
import { inflate } from "../../script/bytes.js";
import { ask } from "./ask.js";

export const keyOf = ({ direction, query }) => `${direction} ${query}`;

// Whether the maps that are drawn are the mean of a pool of patches.
export const isPooled = ({ view, state }) => view.pool > 1 && state.query >= 0 && !view.exact?.has(keyOf(state));

// Asks for them, and draws again unless another patch was chosen meanwhile.
export async function sharpen(tab, draw) {
  const { state, view } = tab, key = keyOf(state);
  if (!isPooled(tab)) return;
  const answer = await ask(tab, "row", { patch: state.query, direction: state.direction });
  if (!answer) return;
  const raw = await inflate(answer.bytes), length = view.L * view.C * view.P;
  view.exact ??= new Map();
  view.exact.set(key, { weights: raw.subarray(0, length), peaks: new Float32Array(raw.buffer.slice(length)) });
  if (tab.view === view && keyOf(state) === key) draw(tab);
}
