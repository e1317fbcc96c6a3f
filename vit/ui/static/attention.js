// All maps of the picture are here already: moving a slider redraws in the page and asks the server nothing.
const $ = (name) => element.querySelector(name);
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const colours = bytes(props.colours);
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;
let view = null;

function load() {
  const value = props.value || { message: "" };
  $(".v-message").hidden = !("message" in value);
  $(".v-message").textContent = value.message || "";
  $(".v-attention").hidden = "message" in value;
  if ("message" in value) return;
  const fresh = !view || String(view.shape.slice(0, 2)) !== String(value.shape.slice(0, 2));
  const [L, heads] = value.shape;
  view = { ...value, maps: bytes(value.maps), image: new Image() };
  $(".layer").max = L;
  $(".head").max = heads;
  if (fresh) { $(".layer").value = L; $(".head").value = 0; }
  view.image.onload = () => { drawInput(); draw(); };
  view.image.src = value.picture;
}

// Weights of one map (h*w); head 0 is the mean of heads.
function weights(layer, head) {
  const [, heads, h, w] = view.shape, size = h * w, result = new Float64Array(size);
  const chosen = head ? [head - 1] : [...Array(heads).keys()];
  for (const k of chosen) {
    const map = layer * heads + k, scale = view.peaks[map] / 255 / chosen.length;
    for (let i = 0; i < size; i++) result[i] += view.maps[map * size + i] * scale;
  }
  return result;
}

function paint(canvas, width, height, colourAt) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([...colourAt(i % width, Math.floor(i / width)), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
}

function drawInput() {
  const { width, height } = view.image, canvas = $("canvas.input");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(view.image, 0, 0);
  view.pixels = context.getImageData(0, 0, width, height).data;
}

function draw() {
  if (!view || !view.pixels) return;
  const [L, heads, h, w] = view.shape;
  const layer = +$(".layer").value, head = +$(".head").value, opacity = $(".opacity").value / 100;
  const map = weights(layer - 1, head);
  const own = $(".own").checked, top = own ? Math.max(...map) : view.top;
  const colour = (weight) => {
    const step = 3 * Math.min(255, Math.round(255 * weight / top));
    return [colours[step], colours[step + 1], colours[step + 2]];
  };
  paint($("canvas.map"), w, h, (x, y) => colour(map[y * w + x]));

  const { width, height } = view.image;
  paint($("canvas.overlay"), width, height, (x, y) => {
    const i = 4 * (y * width + x), pixels = view.pixels;
    const grey = 0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2];
    return colour(map[Math.floor(y * h / height) * w + Math.floor(x * w / width)])
      .map((value) => (1 - opacity) * grey + opacity * value);
  });
  paint($("canvas.bar"), 256, 1, (x) => colour(top * x / 255));

  $(".layer-out").textContent = `${layer} of ${L}`;
  $(".head-out").textContent = head ? `${head} of ${heads}` : `mean of ${heads}`;
  $(".opacity-out").textContent = `${Math.round(100 * opacity)}%`;
  $(".half").textContent = percent(top / 2);
  $(".top").textContent = (own ? "" : "≥ ") + percent(top);
  $(".v-caption").textContent = caption(map, h, w);
}

function caption(map, h, w) {
  const total = map.reduce((sum, weight) => sum + weight, 0), N = h * w;
  let entropy = 0, inside = 0, area = 0;
  map.forEach((weight, i) => {
    const share = weight / total, row = Math.floor(i / w), column = i % w;
    const middle = row >= h / 4 && row < 3 * h / 4 && column >= w / 4 && column < 3 * w / 4;
    const part = view.object ? view.object[i] : +middle;
    if (share > 0) entropy -= share * Math.log(share);
    inside += share * part;
    area += part / N;
  });
  const where = view.object
    ? `${percent(inside)} of it falls on the object, which covers ${percent(area)} of the picture`
    : `${percent(inside)} of it falls on the middle ${percent(area)} of the picture`;
  return `As spread out as ${Math.round(Math.exp(entropy))} of ${N} patches (entropy ${entropy.toFixed(2)} of at most `
    + `${Math.log(N).toFixed(2)} nats); ${where}.`;
}

for (const name of [".layer", ".head", ".opacity", ".own"]) $(name).addEventListener("input", draw);
watch("value", load);
load();
