import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { chosenMap, meanOfLayers, unpack, weights } from "../../vit/ui/attention/script/maps.js";

const [L, heads, h, w, prefix] = [2, 3, 2, 3, 1], C = heads + 1, P = h * w, N = prefix + P;

// Maps as the server packs them: bytes with a peak for each row, a query's to patches, and each column of a prefix token.
async function packed() {
  const size = L * C * N, rows = Uint8Array.from({ length: size * P }, (_, i) => i * 37 % 256);
  const columns = Uint8Array.from({ length: L * C * prefix * N }, (_, i) => i * 91 % 256);
  const rowPeaks = Float32Array.from({ length: size }, (_, i) => (i + 1) / size);
  const columnPeaks = Float32Array.from({ length: L * C * prefix }, (_, i) => 1 / (i + 2));
  const all = Buffer.concat([rows, columns, ...[rowPeaks, columnPeaks].map((peaks) => Buffer.from(peaks.buffer))]);
  const patches = deflateSync(Buffer.from(Float32Array.of(0.5, 2).buffer)).toString("base64");
  const maps = { channels: C, pool: 1, bytes: deflateSync(all).toString("base64") };
  const view = await unpack({ shape: [L, heads, h, w], prefix, maps, patches });
  const weight = (layer, channel, query, patch) => {
    const row = (layer * C + channel) * N + query;
    return rows[row * P + patch] * rowPeaks[row] / 255;
  };
  const toClass = (layer, channel, token) => {
    const column = layer * C + channel;
    return columns[column * N + token] * columnPeaks[column] / 255;
  };
  return { view, weight, toClass };
}

function near(map, expected) {
  assert.equal(map.length, P);
  map.forEach((value, patch) => assert.ok(Math.abs(value - expected(patch)) < 1e-6, `${value} at ${patch}`));
}

test("a head's weights from a query are its row, to a patch its column, to the class token the column that came for it", async () => {
  const { view, weight, toClass } = await packed(), state = { query: -1, direction: "to" };
  for (let layer = 0; layer < L; layer++) for (let head = 0; head < heads; head++) {
    Object.assign(state, { query: -1, direction: "to" });
    near(weights({ view, state }, layer, "head", head), (patch) => weight(layer, head, 0, patch));
    state.query = 4;
    near(weights({ view, state }, layer, "head", head), (patch) => weight(layer, head, prefix + 4, patch));
    state.direction = "by";
    near(weights({ view, state }, layer, "head", head), (patch) => weight(layer, head, prefix + patch, 4));
    state.query = -1;
    near(weights({ view, state }, layer, "head", head), (patch) => toClass(layer, head, prefix + patch));
  }
});

test("means are means of the heads, and the rollout is the channel after them", async () => {
  const { view, weight } = await packed(), state = { query: 2, direction: "to", layer: 1, source: "rollout", head: 0 };
  const mean = (layers, patch) => layers.flatMap((layer) =>
    Array.from({ length: heads }, (_, head) => weight(layer, head, prefix + 2, patch))).reduce((a, b) => a + b) / heads / layers.length;
  near(weights({ view, state }, 1, "mean"), (patch) => mean([1], patch));
  near(meanOfLayers({ view, state }, 0, 2), (patch) => mean([0, 1], patch));
  near(chosenMap({ view, state }), (patch) => weight(1, heads, prefix + 2, patch));
});

test("a chosen patch's own maps are drawn in place of its pool's once they are here", async () => {
  const { view } = await packed(), state = { layer: 1, head: 2, source: "head", query: 4, direction: "to" };
  const own = Uint8Array.from({ length: L * C * P }, (_, i) => i * 13 % 256), peaks = new Float32Array(L * C).fill(0.5);
  const other = { ...state, query: 3 }, before = [state, other].map((chosen) => chosenMap({ view, state: chosen }));
  view.exact = new Map([["to 4", { weights: own, peaks }]]);
  near(chosenMap({ view, state }), (i) => own[(C + 2) * P + i] * 0.5 / 255);
  near(chosenMap({ view, state: other }), (i) => before[1][i]);
  view.exact.clear();
  near(chosenMap({ view, state }), (i) => before[0][i]);
});
