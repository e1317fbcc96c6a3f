// The models that this page can compare with, [label, key] each: the gallery is told, the comparison offers them.
let models = [];

export function offer(list) {
  models = list ?? [];
}

export const offered = () => models;
