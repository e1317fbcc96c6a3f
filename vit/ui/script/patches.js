// The grid of patches: their names, which one lies under the pointer, and which one an arrow key leads to.
export const nameOf = (view, patch, layer = view.L - 1) => patch < 0 ? view.askers[layer]
  : `row ${Math.floor(patch / view.w) + 1}, column ${patch % view.w + 1}`;

export const middleOf = ({ h, w }) => Math.floor(h / 2) * w + Math.floor(w / 2);

export function patchAt({ h, w }, canvas, { clientX, clientY }) {
  const box = canvas.getBoundingClientRect();
  const part = (at, size) => Math.max(0, Math.min(size - 1, Math.floor(at * size)));
  return part((clientY - box.top) / box.height, h) * w + part((clientX - box.left) / box.width, w);
}

// The patch beside this one, itself at the edge; from none the middle. undefined: the key moves nothing.
export function patchBeside(view, patch, key) {
  const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -view.w, ArrowDown: view.w }[key];
  if (!move) return undefined;
  if (patch < 0) return middleOf(view);
  const next = patch + move, sideways = key === "ArrowLeft" || key === "ArrowRight";
  const stays = next >= 0 && next < view.P && (!sideways || Math.floor(next / view.w) === Math.floor(patch / view.w));
  return stays ? next : patch;
}

// Whether an event of a pointer chooses what it is over: a mouse as it is pressed and dragged, a finger as it is lifted,
// since until then it may be about to scroll, which ends in a pointercancel.
export const chooses = ({ type, pointerType, buttons }) =>
  pointerType === "touch" ? type === "pointerup" : type !== "pointerup" && (buttons & 1) === 1;
