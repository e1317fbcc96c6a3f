// From the first moment to the last, softly: between two moments stands their mixture.
const SECONDS_EACH = 0.3, SHORTEST = 6, LONGEST = 12; // of a moment; of all of them

// Two moments mixed: share 0 is the first.
export function between(first, second, share) {
  if (!share || !second) return first;
  const mixed = { shapes: first.shapes };
  for (const name of ["maps", "probabilities", "positions", "filters"]) {
    mixed[name] = first[name].map((value, i) => Math.round(value + share * (second[name][i] - value)));
  }
  return mixed;
}

export function play(forming, draw) {
  const last = forming.view.moments.length - 1, started = performance.now();
  const duration = 1000 * Math.max(SHORTEST, Math.min(LONGEST, SECONDS_EACH * last));
  const from = forming.at >= last ? 0 : forming.at;
  const tick = (now) => {
    if (forming.playing !== tick) return;
    forming.at = Math.min(last, from + Math.max(0, now - started) / duration * last);
    if (forming.at === last) stop(forming);
    else requestAnimationFrame(tick);
    draw(forming);
  };
  forming.playing = tick;
  forming.$(".play").textContent = "Pause";
  requestAnimationFrame(tick);
}

export function stop(forming) {
  forming.playing = null;
  forming.$(".play").textContent = "Play";
}

// Plays a recorded run once, when it is first seen, unless who looks wants no motion.
export function playOnceSeen(forming, draw) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    forming.at = forming.view.moments.length - 1;
    draw(forming);
    return;
  }
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    seen.disconnect();
    if (forming.untouched) play(forming, draw);
  });
  seen.observe(forming.$(".t-strip"));
}
