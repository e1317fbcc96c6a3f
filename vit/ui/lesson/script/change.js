// Heads that are off, each "layer.head" from 0, as they stand in a sentence: "heads 1 and 3 of layer 2, head 1 of layer 3".
export function headsNamed(off, layerName) {
  const layers = new Map();
  for (const [layer, head] of [...off].map((name) => name.split(".").map(Number)).sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    layers.set(layer, [...layers.get(layer) ?? [], head + 1]);
  }
  return [...layers].map(([layer, heads]) => {
    const last = heads.pop();
    return `${heads.length ? `heads ${heads.join(", ")} and` : "head"} ${last} of ${layerName(layer)}`;
  }).join(", ");
}
