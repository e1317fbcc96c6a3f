import { copyLink, linkTo } from "../../script/copy.js";

// The link to exactly this view.
function linkOf({ $, $$, answers, state, view }) {
  if (!view.picture) return null;
  const { layer, head, source, query, direction, off } = state;
  return linkTo({
    tab: "attention", model: view.model, picture: view.picture, layer: layer + 1, head: head + 1, mode: source,
    query: query < 0 ? "" : `${Math.floor(query / view.w) + 1},${query % view.w + 1}`,
    direction: direction === "by" ? "by" : "", off: [...off].map((name) => name.split(".").map((i) => +i + 1).join(".")).join(","),
    colors: $(".colormap").value === "inferno" ? "" : $(".colormap").value, scale: $(".own").checked ? "own" : "",
    open: $$("details[data-opens][open]").map((details) => details.dataset.opens).join(","),
    why: answers.relevance && $(".x-relevance").open ? state.why.map((c) => view.classes[c]).join(",") : "",
  });
}

// Takes the view from the address, if it speaks of the picture and model that are shown.
export function followLink({ $, $$, state, tables, view }) {
  const said = new URLSearchParams(location.search), number = (name, end) => {
    const value = parseInt(said.get(name), 10) - 1;
    return value >= 0 && value < end ? value : undefined;
  };
  if (!said.has("picture") || said.get("picture") !== view.picture || said.get("model") !== view.model) return;
  state.untouched = !said.has("layer");
  state.layer = number("layer", view.L) ?? state.layer;
  state.head = number("head", view.heads) ?? state.head;
  if (["head", "mean", "rollout"].includes(said.get("mode"))) state.source = said.get("mode");
  if (said.get("direction") === "by") state.direction = "by";
  const [row, column] = (said.get("query") || "").split(",").map((n) => n - 1);
  if (row >= 0 && row < view.h && column >= 0 && column < view.w) state.query = row * view.w + column;
  for (const name of (said.get("off") || "").split(",")) {
    const [layer, head] = name.split(".").map((n) => n - 1);
    if (layer >= 0 && layer < view.L && head >= 0 && head < view.heads) state.off.add(`${layer}.${head}`);
  }
  const colors = said.get("colors") ?? said.get("colours"); // as links spelled it before
  if (colors in tables) $(".colormap").value = colors;
  $(".own").checked = said.get("scale") === "own";
  const why = (said.get("why") || "").split(",").map((name) => view.classes.indexOf(name));
  if (why.length === 2 && !why.includes(-1)) state.why = why;
  for (const name of (said.get("open") || "").split(",")) {
    const details = $$("details[data-opens]").find((section) => section.dataset.opens === name);
    if (details) details.open = true;
  }
}

export function copyView(tab) {
  const note = tab.$(".x-file-note"), link = linkOf(tab);
  if (!link) { note.textContent = "An uploaded picture stays with you: there is no link to it. The figure can be saved."; return; }
  copyLink(note, link, "Link to this view", "Copied. It opens this model, picture and view.");
}
