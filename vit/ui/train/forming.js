// Moments of a run come once each, by id; the sliders redraw what is here and ask the server nothing.
const $ = (name) => element.querySelector(name);
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const colours = bytes(GIVEN.colours);
const root = document.documentElement;
let view = null, held = new Map(), following = true, fetching = false, layer = 0;

function load() {
  const value = props.value;
  if (value?.run) showAddress(value.run);
  if (!value || !value.moments.length) return;
  $(".t-forming").hidden = false;
  if (!view || view.run !== value.run || String(view.pictures) !== String(value.pictures)) {
    held = new Map();
    following = true;
    view = null;
  }
  const fresh = !view || value.inline, shown = view?.moments[$(".when").value]?.id;
  view = value;
  for (const moment of value.inline || []) held.set(moment.id, unpack(moment));
  const kept = new Set(value.moments.map(({ id }) => id));
  for (const id of held.keys()) if (!kept.has(id)) held.delete(id);
  const slider = $(".when");
  slider.max = Math.max(1, value.moments.length - 1);
  slider.disabled = value.moments.length < 2;
  if (following) slider.value = slider.max;
  else slider.value = value.moments.findLastIndex(({ id }) => id <= shown);
  if (fresh) build();
  draw();
  fetchMissing();
}

// The page's address is the run's link, so that a reload comes back to it; on Spaces the outer page's too.
function showAddress(run) {
  const address = new URL(location.href);
  if (address.searchParams.get("run") === run) return;
  address.searchParams.set("run", run);
  history.replaceState(history.state, "", address);
  if (parent !== window) parent.postMessage({ queryString: address.search.slice(1) }, "*");
}

// The newest first, so that live stays live; then the others, a few at a time.
async function fetchMissing() {
  if (fetching || !view?.run) return;
  fetching = true;
  try {
    for (;;) {
      const { run, moments } = view;
      const missing = moments.map(({ id }) => id).filter((id) => !held.has(id));
      if (!run || !missing.length) break;
      const wanted = held.size ? missing.slice(-8) : missing.slice(-1);
      const got = await server.fetch(run, wanted);
      if (!got) break; // the server is away; the next change asks again
      if (view.run !== run) continue;
      for (const id of wanted) held.set(id, null); // what was thinned out meanwhile is not asked for again
      for (const moment of got) held.set(moment.id, unpack(moment));
      draw();
    }
  } finally { fetching = false; }
}

function unpack({ data, shapes }) {
  const all = bytes(data), parts = { shapes };
  let at = 0;
  for (const name of ["maps", "probabilities", "positions", "filters"]) {
    const length = shapes[name].reduce((a, b) => a * b, 1);
    parts[name] = all.subarray(at, at += length);
  }
  return parts;
}

function make(tag, props, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

// The strip for these pictures and this many heads; draw() fills it.
function build() {
  const [newest] = [...held.values()].filter(Boolean).slice(-1);
  if (!newest) { $(".t-strip").replaceChildren(); return; }
  const [P, L, heads] = newest.shapes.maps, strip = $(".t-strip");
  strip.style.setProperty("--pictures", P);
  const cells = [make("span", { className: "t-row" })];
  view.pictures.forEach((src, p) => cells.push(make("img", { src, alt: view.classes[view.labels[p]] })));
  cells.push(make("span", { className: "t-row", textContent: "Says" }));
  view.pictures.forEach((_, p) => {
    const bars = view.classes.map((name, c) => make("i", {
      title: name, className: c === view.labels[p] ? "true" : "", style: `--colour:${view.colours[c]}`,
    }));
    cells.push(make("div", { className: "t-says" }, make("div", { className: "t-bars" }, ...bars), make("small", {})));
  });
  for (let k = 0; k < heads; k++) {
    cells.push(make("span", { className: "t-row", textContent: `Head ${k + 1}` }));
    for (let p = 0; p < P; p++) cells.push(make("canvas", { className: "map" }));
  }
  strip.replaceChildren(...cells);
  strip.dataset.heads = heads;
  $(".layer").max = L;
  if (!layer || layer > L) layer = L;
  $(".layer").value = layer;
  $(".t-layer").hidden = L < 2;
}

function paint(canvas, width, height, colourAt) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height), { data } = image;
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i += 4) {
    const [r, g, b, a] = colourAt(x, y);
    data[i] = r; data[i + 1] = g; data[i + 2] = b; data[i + 3] = a ?? 255;
  }
  context.putImageData(image, 0, 0);
}
const colour = (value) => colours.subarray(3 * value, 3 * value + 3);

function draw() {
  if (!view) return;
  const at = Math.min(+$(".when").value, view.moments.length - 1);
  let near = at;
  while (near > 0 && !held.get(view.moments[near].id)) near--;
  const moment = held.get(view.moments[near].id);
  if (!moment) return;
  const [P, L, heads, h, w] = moment.shapes.maps;
  if ($(".t-strip").dataset.heads !== String(heads) || !$(".t-strip img")) build();
  const canvases = element.querySelectorAll("canvas.map");
  for (let k = 0; k < heads; k++) for (let p = 0; p < P; p++) {
    const start = (((p * L + layer - 1) * heads) + k) * h * w;
    paint(canvases[k * P + p], w, h, (x, y) => colour(moment.maps[start + y * w + x]));
  }
  drawPredictions(moment);
  drawPositions(moment);
  drawFilters(moment);
  paint($("canvas.bar"), 256, 1, (x) => colour(x));
  $(".layer-out").textContent = `${layer} of ${L}`;
  $(".t-top").textContent = `≥ ${(100 * view.top / (h * w)).toFixed(1)}% of its attention`;
  $(".t-even").textContent = `an even share is ${(100 / (h * w)).toFixed(1)}%`;
  tell(view.moments[near], near === view.moments.length - 1);
}

function drawPredictions(moment) {
  const C = view.classes.length;
  element.querySelectorAll(".t-says").forEach((cell, p) => {
    const shares = moment.probabilities.subarray(p * C, (p + 1) * C);
    let best = 0;
    [...cell.querySelectorAll("i")].forEach((bar, c) => {
      bar.style.height = `${Math.max(3, shares[c] / 2.55)}%`;
      if (shares[c] > shares[best]) best = c;
    });
    const words = cell.querySelector("small");
    words.textContent = `${Math.round(shares[best] / 2.55)}% ${view.classes[best]}`;
    words.className = best === view.labels[p] ? "right" : "wrong";
    words.title = best === view.labels[p] ? "right" : `wrong: it is ${view.classes[view.labels[p]]}`;
  });
}

function drawPositions({ positions, shapes }) {
  const [rows, columns, h, w] = shapes.positions, gap = 1;
  paint($("canvas.positions"), columns * (w + gap) - gap, rows * (h + gap) - gap, (x, y) => {
    const column = Math.floor(x / (w + gap)), row = Math.floor(y / (h + gap)), i = x % (w + gap), j = y % (h + gap);
    return i === w || j === h ? [0, 0, 0, 0] : colour(positions[((row * columns + column) * h + j) * w + i]);
  });
}

function drawFilters({ filters, shapes }) {
  const [n, , h, w] = shapes.filters, columns = 8, rows = Math.ceil(n / columns), gap = 1;
  paint($("canvas.filters"), columns * (w + gap) - gap, rows * (h + gap) - gap, (x, y) => {
    const which = Math.floor(y / (h + gap)) * columns + Math.floor(x / (w + gap)), i = x % (w + gap), j = y % (h + gap);
    if (i === w || j === h || which >= n) return [0, 0, 0, 0];
    return [0, 1, 2].map((c) => filters[((which * 3 + c) * h + j) * w + i]);
  });
}

// The figures of the moment on show, and where it stands in the curves.
function tell(moment, newest) {
  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const words = [`Step ${moment.step.toLocaleString("en")}`];
  if (moment.step) {
    words.push(`epoch ${moment.epoch.toFixed(2)}`, `loss ${moment.loss.toFixed(2)}`, `training ${percent(moment.accuracy)}`);
    if (moment.validation != null) words.push(`validation ${percent(moment.validation)}`);
    words.push(`rate ${moment.lr < 1e-4 ? moment.lr.toExponential(1) : moment.lr.toPrecision(2)}`);
  } else words.push("before training: weights at random");
  $(".t-then").textContent = words.join(" · ");
  $(".now").hidden = following || !view.run;
  $(".now").textContent = view.live ? "Back to live" : "Back to the end";
  element.dataset.step = moment.step;
  root.style.setProperty("--scrub", moment.seconds);
  root.style.setProperty("--scrubbed", +(!newest && !!view.run));
  $(".t-forming").classList.toggle("t-scrubbed", !newest && !!view.run);
}

$(".when").addEventListener("input", () => { following = +$(".when").value >= view.moments.length - 1; draw(); });
$(".now").addEventListener("click", () => { following = true; $(".when").value = $(".when").max; draw(); });
$(".layer").addEventListener("input", () => { layer = +$(".layer").value; draw(); });
watch("value", load);
load();
