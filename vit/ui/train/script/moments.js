// Moments of a run, once each, by id: those at hand, and the fetching of the others.
import { bytes } from "../../script/bytes.js";

// A run's id, or the name of the checkpoint whose run was recorded; none before a run, where all came with the view.
export const keyOf = ({ run, recorded }) => run || recorded;

export function unpack({ data, shapes }) {
  const all = bytes(data), parts = { shapes };
  let at = 0;
  for (const name of ["maps", "probabilities", "positions", "filters"]) {
    const length = shapes[name].reduce((a, b) => a * b, 1);
    parts[name] = all.subarray(at, at += length);
  }
  return parts;
}

// Takes what came with a view, and forgets what was thinned out.
export function keep({ held, view }) {
  for (const moment of view.inline || []) held.set(moment.id, unpack(moment));
  const kept = new Set(view.moments.map(({ id }) => id));
  for (const id of held.keys()) if (!kept.has(id)) held.delete(id);
}

// The newest first, so that live stays live; then the others, a few at a time.
export async function fetchMissing(forming, draw) {
  if (forming.fetching || !keyOf(forming.view)) return;
  forming.fetching = true;
  try {
    for (;;) {
      const { held, view: { moments } } = forming, key = keyOf(forming.view);
      const missing = moments.map(({ id }) => id).filter((id) => !held.has(id));
      if (!key || !missing.length) break;
      const wanted = held.size ? missing.slice(-8) : missing.slice(-1);
      const got = await forming.server.fetch(key, wanted);
      if (!got) break; // the server is away; the next change asks again
      if (keyOf(forming.view) !== key) continue;
      for (const id of wanted) forming.held.set(id, null); // what was thinned out meanwhile is not asked for again
      for (const moment of got) forming.held.set(moment.id, unpack(moment));
      draw();
    }
  } finally { forming.fetching = false; }
}
