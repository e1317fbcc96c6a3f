// The maps as they came: rows, what a query gives the patches, and columns, what tokens give the prefix tokens.
// Each function takes the mounted tab, of which it reads the view (the payload, unpacked) and the state.
import { inflate } from "../../script/bytes.js";
import { keyOf } from "./rows.js";

export async function unpack(value) {
  const [L, heads, h, w] = value.shape, { channels: C, pool } = value.maps, prefix = value.prefix;
  const across = Math.ceil(w / pool), Q = prefix + Math.ceil(h / pool) * across, P = h * w, N = prefix + P;
  const raw = await inflate(value.maps.bytes);
  const floats = (start, count) => new Float32Array(raw.buffer.slice(start, start + 4 * count));
  const columnsAt = L * C * Q * P, peaksAt = columnsAt + L * C * prefix * N;
  return {
    ...value, L, heads, h, w, P, N, Q, C, pool, across,
    rows: raw.subarray(0, columnsAt), columns: raw.subarray(columnsAt, peaksAt),
    rowPeaks: floats(peaksAt, L * C * Q), columnPeaks: floats(peaksAt + 4 * L * C * Q, L * C * prefix),
    patches: value.patches && new Float32Array((await inflate(value.patches)).buffer),
  };
}

// The row of queries that holds a patch: its own, or its pool's.
function rowOf(view, patch) {
  const row = Math.floor(Math.floor(patch / view.w) / view.pool), column = Math.floor(patch % view.w / view.pool);
  return view.prefix + row * view.across + column;
}

// Adds one channel's weights between the query and each patch, times `scale`, to the map.
function add({ view, state }, map, layer, channel, scale) {
  const { Q, P, N, C, prefix } = view, at = layer * C + channel, exact = view.exact?.get(keyOf(state));
  if (exact) {
    for (let i = 0; i < P; i++) map[i] += exact.weights[at * P + i] * exact.peaks[at] * scale / 255;
    return;
  }
  if (state.direction === "to") {
    const row = at * Q + (state.query < 0 ? 0 : rowOf(view, state.query)), peak = view.rowPeaks[row] * scale / 255;
    for (let i = 0, start = row * P; i < P; i++) map[i] += view.rows[start + i] * peak;
  } else if (state.query < 0) {
    const column = at * prefix, peak = view.columnPeaks[column] * scale / 255;
    for (let i = 0, start = column * N + prefix; i < P; i++) map[i] += view.columns[start + i] * peak;
  } else {
    for (let i = 0; i < P; i++) {
      const row = at * Q + rowOf(view, i);
      map[i] += view.rows[row * P + state.query] * view.rowPeaks[row] * scale / 255;
    }
  }
}

// Weights of one map, a number a patch. head: from 0; source: "head", "mean" or "rollout".
export function weights(tab, layer, source, head) {
  const { P, heads } = tab.view, map = new Float64Array(P);
  if (source === "mean") for (let k = 0; k < heads; k++) add(tab, map, layer, k, 1 / heads);
  else add(tab, map, layer, source === "rollout" ? heads : head, 1);
  return map;
}

// The mean over some layers and all their heads.
export function meanOfLayers(tab, first, last) {
  const { P, heads } = tab.view, map = new Float64Array(P), scale = 1 / heads / (last - first);
  for (let l = first; l < last; l++) for (let k = 0; k < heads; k++) add(tab, map, l, k, scale);
  return map;
}

export const largest = (map) => map.reduce((a, b) => Math.max(a, b), 1e-9);
export const chosenMap = (tab) => weights(tab, tab.state.layer, tab.state.source, tab.state.head);
