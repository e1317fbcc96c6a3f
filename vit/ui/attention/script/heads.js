// The grid of all heads, a row a head and a column a layer.
const label = (text) => Object.assign(document.createElement("span"), { textContent: text });

export function buildGrid({ $, view }) {
  const { L, heads } = view, grid = $(".x-grid");
  grid.style.setProperty("--layers", L);
  grid.setAttribute("aria-label", `Heads by layer; arrow keys move${view.classes.length ? ", O switches a head off or on" : ""}`);
  const rows = Array.from({ length: heads }, (_, head) => {
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    row.append(label(head + 1), ...view.layers.map((name, layer) => cell(name, layer, head)));
    return row;
  });
  const foot = document.createElement("div");
  foot.className = "x-grid-foot";
  foot.setAttribute("aria-hidden", "true");
  foot.append(label(""), ...view.layers.map((name, layer) =>
    label(layer || L >= 7 ? name.replace("Layer ", "").toLowerCase() : name.toLowerCase())));
  grid.replaceChildren(...rows, foot);
  rows[0].firstChild.textContent = L < 7 ? "head 1" : 1;
}

function cell(name, layer, head) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "x-cell", title: `${name}, head ${head + 1}`, tabIndex: -1 });
  Object.assign(button.dataset, { layer, head });
  button.setAttribute("role", "gridcell");
  button.append(document.createElement("canvas"));
  return button;
}

// On the picture: whether the head that is drawn is switched off.
export function drawOff({ $, state }) {
  $(".x-head-off").hidden = state.source !== "head" || !state.off.has(`${state.layer}.${state.head}`);
}

export function markGrid({ $$, state }) {
  for (const button of $$(".x-cell")) {
    const { layer, head } = button.dataset, here = +layer === state.layer;
    const chosen = here && (state.source === "mean" || (state.source === "head" && +head === state.head));
    const focused = here && +head === state.head, off = state.off.has(`${layer}.${head}`);
    button.setAttribute("aria-selected", chosen);
    button.tabIndex = focused ? 0 : -1;
    button.classList.toggle("off", off);
    button.setAttribute("aria-label", button.title + (off ? ", switched off" : ""));
  }
}
