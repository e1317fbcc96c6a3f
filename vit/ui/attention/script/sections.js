// The folded sections: each asks the server once for a picture, when it is opened.
let answers = {};

async function ask(probe, question = {}) {
  const token = view.token;
  // Gradio answers undefined where the request failed.
  const answer = await server[probe]({ token, ...question }).catch(() => null)
    ?? { error: "The server can't be reached; what is drawn here stays usable. Try again, or reload the page." };
  if (view.token !== token) return null;
  $(".x-error").textContent = answer.error || "";
  $(".x-error").hidden = !answer.error;
  return answer.error ? null : answer;
}

async function openSection(details) {
  const name = details.dataset.opens, token = view.token;
  if (!details.open || !name || answers[name]) return;
  details.classList.add("busy");
  const question = name === "relevance" ? { classes: view.best.slice(0, 2).map(([i]) => i) } : {};
  const answer = await ask(name, question);
  details.classList.remove("busy");
  if (!answer || view.token !== token) return;
  answers[name] = answer;
  ({ relevance: buildRelevance, lens: buildLens, weights: buildWeights })[name]();
}

function buildRelevance() {
  const grids = answers.relevance.grids;
  answers.relevance.byClass = Object.fromEntries(answers.relevance.classes.map((c, i) => [c, grids[i]]));
  const chosen = [state.why?.[0] ?? view.best[0][0], state.why?.[1] ?? view.best[1]?.[0] ?? view.best[0][0]];
  $(".x-why").replaceChildren(...chosen.map((chosenClass) => {
    const figure = document.createElement("figure");
    figure.innerHTML = `<label>Why <select></select></label><canvas></canvas>`;
    const select = figure.querySelector("select");
    select.append(...view.classes.map((name, i) => new Option(name, i)));
    select.value = chosenClass;
    select.addEventListener("change", drawRelevance);
    return figure;
  }));
  drawRelevance();
}

async function drawRelevance() {
  const figures = [...$(".x-why").children], known = answers.relevance.byClass;
  const wanted = figures.map((figure) => +figure.querySelector("select").value);
  const missing = wanted.filter((c) => !(c in known));
  if (missing.length) {
    const answer = await ask("relevance", { classes: missing });
    if (!answer) return;
    answer.classes.forEach((c, i) => { known[c] = answer.grids[i]; });
  }
  state.why = wanted;
  const top = Math.max(...wanted.map((c) => largest(known[c])));
  figures.forEach((figure, i) => paintOverlay(figure.querySelector("canvas"), known[wanted[i]], top, $(".opacity").value / 100));
}

function buildLens() {
  const { cls, patches, probabilities } = answers.lens;
  const packed = view.colours.map((hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return b << 16 | g << 8 | r;
  });
  $(".x-layers").replaceChildren(...cls.map((best, layer) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    const [[first, share]] = best;
    figure.innerHTML = `<figcaption><span>${layer ? `Layer ${layer}` : "Embedding"}</span><b></b><span></span></figcaption>`;
    figure.querySelector("b").textContent = view.classes[first];
    figure.querySelector("b").style.borderColor = view.colours[first];
    figure.querySelectorAll("span")[1].textContent = percent(share);
    figure.title = best.map(([i, p]) => `${view.classes[i]} ${percent(p)}`).join(", ");
    paintOver(canvas, (patch) => packed[patches[layer][patch] % packed.length], (patch) => 0.85 * probabilities[layer][patch]);
    canvas.addEventListener("pointermove", (event) => {
      const patch = patchAt(canvas, event);
      canvas.title = `${view.classes[patches[layer][patch]]} ${percent(probabilities[layer][patch])}`;
    });
    figure.prepend(canvas);
    return figure;
  }));
}

function buildWeights() {
  const { filters, stem } = answers.weights;
  $(".x-own").innerHTML = `<figure><canvas class="positions"></canvas><figcaption></figcaption></figure>
    <figure><div class="x-filters"></div><figcaption></figcaption></figure>`;
  $(".x-filters").replaceChildren(...filters.map((src) => Object.assign(new Image(), { src, alt: "" })));
  $(".x-filters").nextElementSibling.textContent = stem === "conv"
    ? `The ${filters.length} filters of the stem's first convolution, each scaled to itself`
    : `The first ${filters.length} filters of the patch projection, each scaled to itself`;
  answers.weights.cosines = bytes(answers.weights.positions);
  drawPositions();
}

// Cosine of the query patch's position embedding with every other's; of the middle patch's while the query is CLS.
function drawPositions() {
  if (!answers.weights || !$("canvas.positions")) return;
  const patch = state.query >= 0 ? state.query : Math.floor(view.h / 2) * view.w + Math.floor(view.w / 2);
  const map = Array.from({ length: view.P }, (_, i) => Math.max(0, answers.weights.cosines[patch * view.P + i] / 127.5 - 1));
  paintMap($("canvas.positions"), map, 1);
  $("canvas.positions").nextElementSibling.textContent = `Cosine of each position embedding to that of the patch in ${
    nameOf(patch)}, from 0 or less to 1` + (state.query < 0 ? "; click a patch of the picture for another" : "");
}
