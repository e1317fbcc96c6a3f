// Links from one tab into another: data-show leads to a head in Attention, data-lesson to a step of How it works. What a
// link says is kept until its tab is there, as a tab is mounted when it is first opened.
const waiting = new Map(), followers = new Map();

export function listen() {
  document.addEventListener("click", ({ target }) => {
    for (const name of ["show", "lesson"]) {
      const link = target.closest?.(`[data-${name}]`);
      if (!link) continue;
      if (followers.has(name)) followers.get(name)({ ...link.dataset });
      else waiting.set(name, { ...link.dataset });
    }
  });
}

// follower: told all data of a link.
export function follow(name, follower) {
  followers.set(name, follower);
  if (waiting.has(name)) follower(waiting.get(name));
  waiting.delete(name);
}
