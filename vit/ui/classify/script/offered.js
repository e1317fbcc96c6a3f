// What this page can compare with: models, [label, key] each, and the earlier moments of those that have some,
// [label of the model, [[label, key], ...]] each. The gallery is told, the comparison offers them.
let models = [], moments = [];

export function offer(list, earlier) {
  models = list ?? [];
  moments = earlier ?? [];
}

export const offered = () => models;
export const earlier = () => moments;

// What it is called, where it is offered.
export function labelOf(key) {
  const moment = moments.flatMap(([label, kept]) => kept.map(([at, other]) => [`${label.split(" · ")[0]} ${at}`, other]));
  return [...models, ...moment].find(([, other]) => other === key)?.[0];
}
