// Each head's numbers over the layers: a dot a head, the chosen one filled, dashed what uniform attention has.
const WIDE = 190, HIGH = 92, PAD = 8;
const CHARTS = {
  distance: ["Distance", (v) => `${v.toFixed(1)} px`, "uniform", "Mean distance between a patch and those it attends to"],
  entropy: ["Entropy", (v) => `${v.toFixed(2)} nats`, "ln N", "How spread the attention is: 0 on one token, ln N on all alike"],
  attention_to_cls: ["On the class token", percent, "1/N", "What the patches give the class token"],
  object_share: ["On the object", percent, "its area", "Share of the class token's attention to patches"],
  cosine: ["Cosine to other heads", (v) => v.toFixed(2), "", "Of the class token's maps: 1 is the same map"],
};

const x = (layer) => PAD + 6 + (WIDE - 2 * PAD - 12) * (view.L > 1 ? layer / (view.L - 1) : 0.5);
const y = (value, top) => HIGH - PAD - (HIGH - 2 * PAD) * Math.max(0, Math.min(1, value / top));
const column = () => state.source === "mean" ? view.heads : state.source === "rollout" ? view.heads + 1 : state.head;
const svg = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};

function buildCharts() {
  $(".x-charts").replaceChildren(...Object.entries(CHARTS).map(([name, [title, text, mark, meaning]]) => {
    const figure = document.createElement("figure"), numbers = view.statistics[name];
    const drawn = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH + 12}`, role: "img", "aria-label": `${title}, of all heads by layer` });
    figure.className = "x-chart";
    figure.dataset.name = name;
    figure.title = meaning;
    const named = name === "object_share" ? view.region.replace("the ", "On the ") : title;
    figure.innerHTML = `<figcaption><span></span><b></b></figcaption>`;
    figure.querySelector("span").textContent = named;
    drawn.append(svg("path", { class: "x-axis", d: `M${PAD} ${HIGH - PAD}H${WIDE - PAD}` }), svg("path", { class: "x-now" }));
    if (numbers) {
      const level = y(numbers.uniform, numbers.top);
      const label = svg("text", { class: "x-level-name", x: WIDE / 2, y: HIGH + 8, "text-anchor": "middle" });
      label.textContent = `– – ${mark} ${text(numbers.uniform)}`;
      drawn.append(svg("path", { class: "x-level", d: `M${PAD} ${level}H${WIDE - PAD}` }), label);
    }
    for (const [layer, at] of [[0, "start"], [view.L - 1, "end"]].slice(0, view.L)) {
      const label = svg("text", { class: "x-level-name", x: x(layer), y: HIGH + 8, "text-anchor": view.L > 1 ? at : "middle" });
      label.textContent = `L${layer + 1}`;
      drawn.append(label);
    }
    for (let l = 0; l < view.L; l++) for (let k = 0; k < view.heads; k++) {
      drawn.append(svg("circle", { class: "x-dot", cx: x(l), cy: numbers ? y(numbers.values[l][k], numbers.top) : 0, r: 2.6 }));
    }
    drawn.append(svg("circle", { class: "x-dot x-chosen", r: 4.5 }));
    figure.append(drawn);
    return figure;
  }));
}

function cosines() {
  const count = view.L * view.heads, from = (state.layer * view.heads + state.head) * count;
  return Array.from({ length: count }, (_, i) => view.similarity[from + i] / 255);
}

function drawCharts() {
  for (const figure of $$(".x-chart")) {
    const name = figure.dataset.name, [, text] = CHARTS[name], chosen = figure.querySelector(".x-chosen");
    figure.querySelector(".x-now").setAttribute("d", `M${x(state.layer)} ${PAD}V${HIGH - PAD}`);
    if (name === "cosine") { drawCosines(figure, text, chosen); continue; }
    const numbers = view.statistics[name], value = numbers.values[state.layer][column()];
    chosen.setAttribute("cx", x(state.layer));
    chosen.setAttribute("cy", y(value, numbers.top));
    figure.querySelector("b").textContent = text(value);
  }
}

function drawCosines(figure, text, chosen) {
  const single = state.source === "head" && view.L * view.heads > 1;
  figure.hidden = !single;
  if (!single) return;
  const values = cosines(), self = state.layer * view.heads + state.head, dots = figure.querySelectorAll(".x-dot");
  values.forEach((value, i) => dots[i].setAttribute("cy", y(value, 1.05)));
  chosen.setAttribute("cx", x(state.layer));
  chosen.setAttribute("cy", y(1, 1.05));
  const mean = (values.reduce((a, b) => a + b, 0) - values[self]) / (values.length - 1);
  const like = values.reduce((best, value, i) => i !== self && (best < 0 || value > values[best]) ? i : best, -1);
  figure.querySelector("b").textContent = `mean ${text(mean)}`;
  figure.title = `Most like layer ${Math.floor(like / view.heads) + 1}, head ${like % view.heads + 1}: ${text(values[like])}`;
}

function buildComparison() {
  const { layers: n, early, late, sentence } = view.comparison, names = Object.keys(CHARTS).filter((name) => name in early);
  const [first, last] = n > 1 ? [`Layers 1 to ${n}`, `Layers ${view.L - n + 1} to ${view.L}`] : ["Layer 1", `Layer ${view.L}`];
  $("canvas.early").nextElementSibling.textContent = `${first}, all heads`;
  $("canvas.late").nextElementSibling.textContent = `${last}, all heads`;
  $(".x-table").innerHTML = `<tr><th></th><th>${first}</th><th>${last}</th></tr>` + names.map((name) => {
    const [title, text] = CHARTS[name];
    return `<tr><th>${name === "object_share" ? view.region.replace("the ", "On the ") : title}</th>`
      + `<td>${text(early[name])}</td><td>${text(late[name])}</td></tr>`;
  }).join("");
  $(".x-compared").textContent = sentence;
}
