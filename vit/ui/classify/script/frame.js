// The frame on the visitor's picture: dragged by its middle, resized by its corner, or both by keys.
const SMALLEST = 0.05, STEP = 0.02;

// Within the picture: left of the width, top of the height, side of the shorter one.
export function fitted([left, top, side], { width, height }) {
  const short = Math.min(width, height);
  side = Math.min(1, Math.max(SMALLEST, side));
  const most = (size) => Math.max(0, 1 - side * short / size);
  return [Math.min(most(width), Math.max(0, left)), Math.min(most(height), Math.max(0, top)), side];
}

// What a key makes of it; undefined where it means nothing.
export function moved([left, top, side], key, size) {
  const short = Math.min(size.width, size.height), across = STEP * short / size.width, down = STEP * short / size.height;
  const grown = (by) => [left - by / 2 * short / size.width, top - by / 2 * short / size.height, side + by];
  const next = {
    ArrowLeft: () => [left - across, top, side], ArrowRight: () => [left + across, top, side],
    ArrowUp: () => [left, top - down, side], ArrowDown: () => [left, top + down, side],
    "+": () => grown(2 * STEP), "-": () => grown(-2 * STEP),
  }[key];
  return next && fitted(next(), size);
}

export function frameOn(element, choose) {
  const $ = (name) => element.querySelector(name), marker = $(".c-frame");
  let original, frame, waiting = null, drag, asked = []; // frames whose answers are on their way

  function draw(value) {
    element.hidden = !value;
    original = value;
    if (!value) return;
    const came = asked.indexOf(String(value.frame));
    if (came >= 0 && came < asked.length - 1 || drag || waiting) return; // where it is now is newer than what came
    asked = [];
    $("img").src = value.src;
    $("figcaption").textContent = `Yours: ${value.width} × ${value.height} pixels. Move the frame, or resize it.`;
    place(value.frame);
  }

  function place(next) {
    frame = next;
    const { width, height } = original, short = Math.min(width, height), [left, top, side] = frame;
    Object.assign(marker.style, {
      left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * side * short / width}%`, height: `${100 * side * short / height}%`,
    });
  }

  // The server is asked once the frame rests.
  function change(next) {
    place(next);
    clearTimeout(waiting);
    waiting = setTimeout(() => { waiting = null; asked.push(String(frame)); choose(frame); }, 120);
  }

  marker.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    marker.focus();
    marker.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, frame, resizes: event.target !== marker };
  });
  marker.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const box = $("img").getBoundingClientRect(), across = (event.clientX - drag.x) / box.width;
    const down = (event.clientY - drag.y) / box.height, [left, top, side] = drag.frame;
    const short = Math.min(box.width, box.height), grown = Math.max(event.clientX - drag.x, event.clientY - drag.y) / short;
    change(fitted(drag.resizes ? [left, top, side + grown] : [left + across, top + down, side], original));
  });
  for (const end of ["pointerup", "pointercancel"]) marker.addEventListener(end, () => { drag = null; });
  marker.addEventListener("keydown", (event) => {
    const next = moved(frame, event.key === "=" ? "+" : event.key, original);
    if (!next) return;
    event.preventDefault();
    change(next);
  });
  return { draw };
}
