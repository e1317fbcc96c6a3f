// A list that drops down closes when one tabs on, as a browser's own does: Gradio's opens at any key, Tab among them, and
// so once more just after it was left.
export function closeOnTab() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && event.target.role === "combobox") event.stopPropagation();
  }, true);
}
