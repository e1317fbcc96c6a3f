// The grid of all heads, a row a head and a column a layer.
const label = (text) => Object.assign(document.createElement("span"), { textContent: text });

export function buildGrid({ $, view }) {
  const { L, heads } = view, grid = $(".x-grid");
  grid.style.setProperty("--layers", L);
  const rows = Array.from({ length: heads }, (_, head) => {
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    row.append(label(head + 1), ...Array.from({ length: L }, (_, layer) => cell(layer, head)));
    return row;
  });
  const foot = document.createElement("div");
  foot.className = "x-grid-foot";
  foot.setAttribute("aria-hidden", "true");
  foot.append(label(""), ...Array.from({ length: L }, (_, layer) => label(layer ? layer + 1 : L < 7 ? "layer 1" : 1)));
  grid.replaceChildren(...rows, foot);
  rows[0].firstChild.textContent = L < 7 ? "head 1" : 1;
}

function cell(layer, head) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "x-cell", title: `Layer ${layer + 1}, head ${head + 1}`, tabIndex: -1 });
  Object.assign(button.dataset, { layer, head });
  button.setAttribute("role", "gridcell");
  button.append(document.createElement("canvas"));
  return button;
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
