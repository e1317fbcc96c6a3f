// Hands on the controls.
$(".colormap").append(...Object.keys(COLOURS).map((name) => new Option(name, name)));
$(".layer").addEventListener("input", (event) => change({ layer: event.target.value - 1 }));
$(".head").addEventListener("input", (event) => change({ head: event.target.value - 1, source: "head" }));
$(".opacity").addEventListener("input", () => {
  $(".opacity-out").textContent = `${$(".opacity").value}%`;
  drawStage();
  drawComparison();
  if (answers.relevance) drawRelevance();
});
$(".opacity-out").textContent = `${$(".opacity").value}%`;
for (const name of [".own", ".colormap"]) $(name).addEventListener("input", () => {
  drawBar();
  drawAll();
  if (answers.relevance) drawRelevance();
});
for (const button of $$("[data-source]")) button.addEventListener("click", () => change({ source: button.dataset.source }));
for (const button of $$("[data-direction]")) button.addEventListener("click", () => change({ direction: button.dataset.direction }));
element.addEventListener("keydown", onRadioKey);

const stage = $(".x-stage");
stage.addEventListener("pointerdown", (event) => { change({ query: patchAt($("canvas.overlay"), event) }); hover(event); });
stage.addEventListener("pointermove", hover);
stage.addEventListener("pointerleave", () => { $(".x-hover").hidden = true; });
stage.addEventListener("keydown", onStageKey);
$(".x-reset").addEventListener("click", () => { change({ query: -1 }); stage.focus(); });

$(".x-grid").addEventListener("click", (event) => { const cell = event.target.closest(".x-cell"); if (cell) onCell(cell); });
$(".x-grid").addEventListener("keydown", onGridKey);
$(".x-off").addEventListener("click", ({ currentTarget: button }) => {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  $(".x-grid").classList.toggle("switching", on);
});
$(".x-all-on").addEventListener("click", () => { state.off.clear(); markGrid(); predictWithout(); });

for (const details of $$("details[data-opens]")) details.addEventListener("toggle", () => view && openSection(details));
$(".x-link").addEventListener("click", copyLink);
for (const button of $$("[data-format]")) button.addEventListener("click", () => saveFile(button.dataset.format));
watch("value", load);
load();
