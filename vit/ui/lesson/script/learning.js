// Step 7: how the recorded run came about, and experiments that fill in the form of the Train tab.
import { best, signed } from "./numbers.js";

const TITLES = { maps: "Attention", probabilities: "What it says", positions: "Positions", filters: "Filters" };
const WIDTH = 640, HEIGHT = 220;

export function build(lesson, figure, more) {
  const { constants } = lesson;
  let found = null, at = null;
  figure.innerHTML = `<div class="l-plot"><i>100%</i><i>50%</i><i>0%</i><svg class="l-chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"></svg></div>
    <p class="l-ticks"><span>step 0</span><span></span></p><p class="l-keys"></p>
    <label class="x-slider"><span>Moment <output></output></span><input class="l-when" type="range" min="0" step="1"></label>
    <p class="v-note l-here"></p><p class="l-row"><button type="button" class="x-quiet-button" data-tab="Train">Play it in the Train tab</button></p>`;
  const $ = (name) => figure.querySelector(name);
  $(".l-when").addEventListener("input", () => { at = +$(".l-when").value; lesson.change({}); });
  more.innerHTML = `<section><h3>Three experiments</h3><div class="l-experiments"></div></section>`;
  more.querySelector(".l-experiments").append(...constants.experiments.map(experiment));

  function experiment({ title, ask, options, runs }) {
    const card = document.createElement("fieldset");
    card.innerHTML = `<legend></legend><p></p><p class="l-options"></p><p class="l-row"></p>`;
    card.querySelector("legend").textContent = title;
    card.querySelector("p").textContent = ask;
    card.querySelector(".l-options").append(...options.map((option) => {
      const label = document.createElement("label");
      label.append(Object.assign(document.createElement("input"), { type: "radio", name: title }), ` ${option}`);
      return label;
    }));
    card.querySelector(".l-row").append(...runs.map((run) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "x-quiet-button", textContent: `Fill in: ${run.title}` });
      button.addEventListener("click", () => { lesson.complete("learning"); lesson.trigger("fill", { run: run.name }); });
      return button;
    }));
    return card;
  }

  const parts = () => Object.keys(TITLES).filter((part) => part in found.ways);

  return {
    question: {
      text: "In the recorded run, what is half way to its final form first?",
      options: Object.values(TITLES),
      async answer() {
        found = await lesson.fetch("learning");
        if (!found) return null;
        const first = parts()[best(parts().map((part) => -found.half[part]))];
        return { right: Object.keys(TITLES).indexOf(first), says: parts().map((part) => `${TITLES[part]}: step ${found.steps[found.half[part]].toLocaleString("en")}`).join("; ") + "." };
      },
    },
    async draw() {
      found = await lesson.fetch("learning") ?? found;
      for (const part of figure.children) part.hidden = !found; // where no run was recorded, the page says so
      if (!found) return;
      const last = found.steps.length - 1;
      at = Math.min(at ?? Math.min(...Object.values(found.half)), last);
      $(".l-when").max = last;
      $(".l-when").value = at;
      $("output").textContent = `step ${found.steps[at].toLocaleString("en")} of ${found.steps[last].toLocaleString("en")}, ${found.seconds[at].toFixed(0)} s`;
      $(".l-chart").innerHTML = chart(found, at, parts());
      $(".l-ticks").lastChild.textContent = `step ${found.steps[last].toLocaleString("en")}`;
      $(".l-chart").setAttribute("aria-label", "The share of the way from the first moment to the last, over the steps");
      $(".l-keys").innerHTML = parts().map((part) => `<span class="l-key l-${part}">${TITLES[part]} ${percentOf(found.ways[part][at])}</span>`).join(" ");
      $(".l-here").textContent = `${found.title}: how far each had come, as a share of the way from its first form to its last.`;
    },
  };
}

const percentOf = (way) => `${signed(100 * way, 0)}%`;

// Steps from left to right by their square root, as most happens early.
function chart({ ways, steps }, at, parts) {
  const last = steps[steps.length - 1], x = (step) => WIDTH * Math.sqrt(step / last), y = (way) => HEIGHT * (1 - Math.max(0, way));
  const line = (part) => `<polyline class="l-${part}" points="${ways[part].map((way, i) => `${x(steps[i]).toFixed(1)},${y(way).toFixed(1)}`).join(" ")}"/>`;
  return `<path class="l-half" d="M0 ${HEIGHT / 2}H${WIDTH}"/><path class="l-now" d="M${x(steps[at]).toFixed(1)} 0V${HEIGHT}"/>${parts.map(line).join("")}`;
}
