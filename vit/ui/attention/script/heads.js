// The grid of all heads, a row a head and a column a layer; and heads switched off.
function buildGrid() {
  const grid = $(".x-grid"), label = (text) => Object.assign(document.createElement("span"), { textContent: text });
  grid.style.setProperty("--layers", view.L);
  const rows = Array.from({ length: view.heads }, (_, head) => {
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    row.append(label(head + 1), ...Array.from({ length: view.L }, (_, layer) => {
      const cell = document.createElement("button");
      Object.assign(cell, { type: "button", className: "x-cell", title: `Layer ${layer + 1}, head ${head + 1}`, tabIndex: -1 });
      Object.assign(cell.dataset, { layer, head });
      cell.setAttribute("role", "gridcell");
      cell.append(document.createElement("canvas"));
      return cell;
    }));
    return row;
  });
  const foot = document.createElement("div");
  foot.className = "x-grid-foot";
  foot.setAttribute("aria-hidden", "true");
  foot.append(label(""), ...Array.from({ length: view.L }, (_, layer) => label(layer ? layer + 1 : view.L < 7 ? "layer 1" : 1)));
  grid.replaceChildren(...rows, foot);
  rows[0].firstChild.textContent = view.L < 7 ? "head 1" : 1;
}

function markGrid() {
  for (const cell of $$(".x-cell")) {
    const { layer, head } = cell.dataset, here = +layer === state.layer;
    const chosen = here && (state.source === "mean" || (state.source === "head" && +head === state.head));
    const focused = here && +head === state.head, off = state.off.has(`${layer}.${head}`);
    cell.setAttribute("aria-selected", chosen);
    cell.tabIndex = focused ? 0 : -1;
    cell.classList.toggle("off", off);
    cell.setAttribute("aria-label", cell.title + (off ? ", switched off" : ""));
  }
}

const cellAt = (layer, head) => $(`.x-cell[data-layer="${layer}"][data-head="${head}"]`);

function onCell(cell) {
  const layer = +cell.dataset.layer, head = +cell.dataset.head;
  if ($(".x-off").getAttribute("aria-pressed") === "true") switchHead(layer, head);
  else change({ layer, head, source: "head" });
}

function onGridKey(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key.toLowerCase() === "o" && !event.ctrlKey && !event.metaKey) return switchHead(state.layer, state.head);
  if (!(event.key in moves)) return;
  event.preventDefault();
  const [right, down] = moves[event.key];
  const layer = Math.max(0, Math.min(view.L - 1, state.layer + right));
  const head = Math.max(0, Math.min(view.heads - 1, state.head + down));
  change({ layer, head, source: "head" });
  cellAt(layer, head).focus();
}

function switchHead(layer, head) {
  const name = `${layer}.${head}`;
  if (!state.off.delete(name)) state.off.add(name);
  markGrid();
  predictWithout();
}

let asked = 0;

async function predictWithout() {
  const turn = ++asked;
  if (!state.off.size) { drawPrediction(null); return; }
  const answer = await ask("without_heads", { off: [...state.off].map((name) => name.split(".").map(Number)) });
  if (turn === asked && answer) drawPrediction(answer.probabilities);
}

// The likeliest classes; with heads off, what they have become, and a thin line where they were.
function drawPrediction(now) {
  const before = new Map(view.best), order = (now || []).map((p, i) => [i, p]).sort((a, b) => b[1] - a[1]);
  const ids = [...new Set([...(now ? order.slice(0, 2).map(([i]) => i) : []), ...before.keys()])].slice(0, 4);
  const first = now ? order[0][0] : view.best[0][0], n = state.off.size;
  const truth = view.truth && (view.truth === view.classes[first] ? ", which is right" : `; it is a ${view.truth}`);
  $(".x-says-title").textContent = (now ? `With ${n} head${n > 1 ? "s" : ""} off it says ` : "It says ")
    + view.classes[first] + (truth || "");
  $(".x-all-on").hidden = !now;
  $(".x-bars").replaceChildren(...ids.sort((a, b) => (now ? now[b] - now[a] : before.get(b) - before.get(a))).map((i) => {
    const item = document.createElement("li"), share = now ? now[i] : before.get(i);
    item.innerHTML = `<span class="v-name"></span><span class="v-bar"><i></i></span><span class="v-percent"></span>`;
    item.querySelector(".v-name").textContent = view.classes[i];
    Object.assign(item.querySelector("i").style, { width: `${100 * share}%`, background: view.colours[i] });
    const was = before.get(i);
    if (now && was !== undefined) item.querySelector(".v-bar").append(Object.assign(document.createElement("s"), { style: `left:${100 * was}%` }));
    item.querySelector(".v-percent").textContent = percent(share);
    if (now && was !== undefined) item.title = `${percent(was)} with all heads`;
    return item;
  }));
}
