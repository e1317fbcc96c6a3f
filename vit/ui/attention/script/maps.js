// The maps as they came: rows, what a query gives the patches, and columns, what tokens give the prefix tokens.
const $ = (name) => element.querySelector(name);
const $$ = (name) => [...element.querySelectorAll(name)];
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;

let view = null;  // the payload, unpacked
const state = { layer: 0, head: 0, source: "mean", query: -1, direction: "to", off: new Set() };

async function inflate(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(value) {
  const [L, heads, h, w] = value.shape, { channels: C, pool } = value.maps, prefix = value.prefix;
  const across = Math.ceil(w / pool), Q = prefix + Math.ceil(h / pool) * across, P = h * w, N = prefix + P;
  const raw = await inflate(value.maps.bytes);
  const floats = (start, count) => new Float32Array(raw.buffer.slice(start, start + 4 * count));
  const columnsAt = L * C * Q * P, peaksAt = columnsAt + L * C * prefix * N;
  return {
    ...value, L, heads, h, w, P, N, Q, C, pool, across,
    rows: raw.subarray(0, columnsAt), columns: raw.subarray(columnsAt, peaksAt),
    rowPeaks: floats(peaksAt, L * C * Q), columnPeaks: floats(peaksAt + 4 * L * C * Q, L * C * prefix),
    similarity: bytes(value.similarity),
  };
}

// The row of queries that holds a patch: its own, or its pool's.
function rowOf(patch) {
  const row = Math.floor(Math.floor(patch / view.w) / view.pool), column = Math.floor(patch % view.w / view.pool);
  return view.prefix + row * view.across + column;
}

// Adds one channel's weights between the query and each patch, times `scale`, to the map.
function add(map, layer, channel, scale) {
  const { Q, P, N, C, prefix } = view, at = layer * C + channel;
  if (state.direction === "to") {
    const row = at * Q + (state.query < 0 ? 0 : rowOf(state.query)), peak = view.rowPeaks[row] * scale / 255;
    for (let i = 0, start = row * P; i < P; i++) map[i] += view.rows[start + i] * peak;
  } else if (state.query < 0) {
    const column = at * prefix, peak = view.columnPeaks[column] * scale / 255;
    for (let i = 0, start = column * N + prefix; i < P; i++) map[i] += view.columns[start + i] * peak;
  } else {
    for (let i = 0; i < P; i++) {
      const row = at * Q + rowOf(i);
      map[i] += view.rows[row * P + state.query] * view.rowPeaks[row] * scale / 255;
    }
  }
}

// Weights of one map, a number a patch. head: from 0; source: "head", "mean" or "rollout".
function weights(layer, source, head) {
  const map = new Float64Array(view.P);
  if (source === "mean") for (let k = 0; k < view.heads; k++) add(map, layer, k, 1 / view.heads);
  else add(map, layer, source === "rollout" ? view.heads : head, 1);
  return map;
}

// The mean over some layers and all their heads.
function meanOfLayers(first, last) {
  const map = new Float64Array(view.P), scale = 1 / view.heads / (last - first);
  for (let l = first; l < last; l++) for (let k = 0; k < view.heads; k++) add(map, l, k, scale);
  return map;
}

const largest = (map) => map.reduce((a, b) => Math.max(a, b), 1e-9);
const chosenMap = () => weights(state.layer, state.source, state.head);
