// One picture through one model: what is chosen, and what follows from a change. Nothing here asks the server.
const nameOf = (patch) => patch < 0 ? "the class token"
  : `row ${Math.floor(patch / view.w) + 1}, column ${patch % view.w + 1}`;
const sourceName = () => ({ head: `head ${state.head + 1}`, mean: "mean of heads", rollout: "rollout" })[state.source];
const directionName = () => state.direction === "to" ? "attention from" : "attention to";

async function load() {
  const value = props.value || { message: "Loading …" };
  $(".v-message").hidden = !("message" in value);
  $(".v-message").textContent = value.message || "";
  if ("message" in value) { $(".x-view").hidden = true; view = null; return; }
  const unpacked = { ...await unpack(value), ...await readPicture(value.image) };
  if (props.value !== value) return;  // another picture came meanwhile
  const first = !view, sameSize = view && String(view.shape) === String(value.shape);
  const sameModel = view && view.model === value.model;
  view = unpacked;
  if (!sameSize) Object.assign(state, { layer: view.L - 1, head: 0, query: -1 });
  if (!sameModel) state.off.clear();
  if (!sameModel) delete state.why;
  $(".layer").max = view.L;
  $(".head").max = view.heads;
  $(".x-view").hidden = false;
  if (first) followLink();
  answers = {};
  buildGrid();
  buildCharts();
  buildComparison();
  drawPrediction(null);
  $(".x-file-note").textContent = "";
  $(".x-error").hidden = true;
  drawBar();
  drawAll();
  if (state.off.size) predictWithout();
  $$("details[data-opens]").forEach(openSection);
  element.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
}

function change(changes) {
  const everyMap = "query" in changes || "direction" in changes;
  Object.assign(state, changes);
  if (everyMap) drawAll();
  else drawView();
}

// After a change of layer, head or source.
function drawView() {
  drawStage();
  markGrid();
  drawCharts();
  $(".layer").value = state.layer + 1;
  $(".head").value = state.head + 1;
  $(".head").disabled = state.source === "rollout";
  $(".layer-out").textContent = `${state.layer + 1} of ${view.L}`;
  $(".head-out").textContent = state.source === "head" ? `${state.head + 1} of ${view.heads}` : sourceName();
  for (const button of $$("[data-source]")) check(button, button.dataset.source === state.source);
  $(".x-sentence").textContent = sentence();
}

// After a change of query, direction, colours or scale.
function drawAll() {
  drawGrid();
  drawComparison();
  drawPositions();
  for (const button of $$("[data-direction]")) check(button, button.dataset.direction === state.direction);
  const marker = $(".x-query"), patch = state.query;
  marker.hidden = $(".x-reset").hidden = patch < 0;
  if (patch >= 0) Object.assign(marker.style, {
    left: `${100 * (patch % view.w) / view.w}%`, top: `${100 * Math.floor(patch / view.w) / view.h}%`,
    width: `${100 / view.w}%`, height: `${100 / view.h}%`,
  });
  const pooled = view.pool > 1 && patch >= 0 ? `, ${view.pool} × ${view.pool} patches` : "";
  $(".x-query-name").textContent = nameOf(patch) + pooled;
  drawView();
}

function check(button, on) {
  button.setAttribute("aria-checked", on);
  button.tabIndex = on ? 0 : -1;
}

function sentence() {
  const of = state.source === "head" ? `Layer ${state.layer + 1}, head ${state.head + 1}` : state.source === "mean"
    ? `Layer ${state.layer + 1}, mean of heads` : `Rollout to layer ${state.layer + 1}`;
  return `${of}. ${state.query < 0 ? view.sentences[state.layer][column()] : patchSentence()}`;
}

// What the map of a patch says, from the weights that are drawn: how far away, how spread, and where most.
function patchSentence() {
  const map = chosenMap(), total = map.reduce((a, b) => a + b, 0) || 1, size = view.size.width / view.w;
  const [row, col] = [Math.floor(state.query / view.w), state.query % view.w];
  const away = (i) => size * Math.hypot(Math.floor(i / view.w) - row, i % view.w - col);
  let distance = 0, even = 0, entropy = 0, peak = 0;
  map.forEach((weight, i) => {
    const share = weight / total;
    distance += share * away(i);
    even += away(i) / view.P;
    if (share > 0) entropy -= share * Math.log(share);
    if (weight > map[peak]) peak = i;
  });
  const reach = distance < 0.5 * even ? "local" : distance > 0.9 * even ? "global" : "neither local nor global";
  const [subject, verb] = state.direction === "to" ? [`The patch in ${nameOf(state.query)}`, "looks"]
    : [`What attends to the patch in ${nameOf(state.query)}`, "lies"];
  return `${subject} ${verb} ${distance.toFixed(1)} px away on average, evenly spread it would be ${even.toFixed(1)} px: ${reach}. `
    + `Entropy ${entropy.toFixed(2)} nats, as if over ${Math.exp(entropy).toFixed(0)} of ${view.P} patches; `
    + `most, ${percent(map[peak])}, ${state.direction === "to" ? "goes to" : "comes from"} `
    + (peak === state.query ? "itself." : `${nameOf(peak)}.`);
}

function patchAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const part = (at, size) => Math.max(0, Math.min(size - 1, Math.floor(at * size)));
  return part((event.clientY - box.top) / box.height, view.h) * view.w + part((event.clientX - box.left) / box.width, view.w);
}

function hover(event) {
  const patch = patchAt($("canvas.overlay"), event), output = $(".x-hover");
  output.hidden = false;
  output.textContent = `${percent(chosenMap()[patch])} · row ${Math.floor(patch / view.w) + 1}, column ${patch % view.w + 1}`;
  if (event.buttons & 1 && patch !== state.query) change({ query: patch });
}

function onStageKey(event) {
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -view.w, ArrowDown: view.w };
  if (event.key === "Escape") return change({ query: -1 });
  if (!(event.key in moves)) return;
  event.preventDefault();
  if (state.query < 0) return change({ query: Math.floor(view.h / 2) * view.w + Math.floor(view.w / 2) });
  const next = state.query + moves[event.key], sideways = Math.abs(moves[event.key]) === 1;
  const stays = next >= 0 && next < view.P && (!sideways || Math.floor(next / view.w) === Math.floor(state.query / view.w));
  if (stays) change({ query: next });
}

// Arrow keys move between the buttons of a radio group.
function onRadioKey(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by || !event.target.matches("[role=radio]")) return;
  event.preventDefault();
  const group = [...event.target.parentElement.children];
  const next = group[(group.indexOf(event.target) + by + group.length) % group.length];
  next.click();
  next.focus();
}
