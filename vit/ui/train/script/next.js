// What one does with a run that has ended: its link is copied here; a button with data-tab opens that tab, on its model.
export function mount({ element, trigger, constants }) {
  element.addEventListener("click", async (event) => {
    const use = event.target.closest("[data-use]");
    if (use) trigger(constants.use, { run: use.dataset.use });
    const button = event.target.closest("[data-run]");
    if (!button) return;
    const link = new URL(location.pathname, location.origin);
    link.searchParams.set("run", button.dataset.run);
    try {
      await navigator.clipboard.writeText(link.href);
      button.textContent = "Copied";
    } catch {
      prompt("The run's link", link.href);
    }
  });
}
