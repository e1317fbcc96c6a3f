// Learning: start, three curves as they grow, what came of it.
import { ask, askUntilAnswered } from "../../script/ask.js";
import { percent } from "../../script/format.js";
import { recall, remember } from "./session.js";

const KEY = "vit-own-run"; // remembers {id, owner} of what is being learned
const EVERY = 400; // milliseconds between two looks at how it goes

// learned: called with {way: model's key}, the run's secret and the best one's key.
export function learningIn(element, server, collecting, learned) {
  const $ = (name) => element.querySelector(name), panels = new Map();
  let running = null, asked = 0; // {id, owner}; how often was asked how the pictures stand
  let stopping = null; // what is said once Stop was pressed, and whether it failed

  // tells: whether how they stand is said, or what is said stays.
  async function stand(tells = true) {
    const mine = ++asked, awaited = () => !running && mine === asked;
    const { ready, says, error } = await collecting.standing((why) => tells && awaited() && wrong(why));
    if (!awaited()) return;
    $(".o-start").disabled = !ready;
    if (tells) tell(error ?? says, Boolean(error));
  }

  function tell(text, wrong = false) {
    $(".o-standing").textContent = text;
    $(".o-standing").classList.toggle("t-wrong", wrong);
  }

  const wrong = (text) => tell(text, true);

  async function start(ways = ["head", "all", "scratch"]) {
    if (running) return;
    running = {};
    buttons();
    const begun = await ask(server, "start", { set: collecting.token ?? "", parent: $(".o-parent").value, ways });
    if (begun.error) {
      running = null;
      buttons();
      wrong(begun.error);
      return;
    }
    tell("Learning …");
    for (const [name, panel] of panels) panel.classList.toggle("o-older", !ways.includes(name));
    $(".o-compared").hidden = true;
    await follow(begun);
  }

  // What was being learned before a reload.
  function resume() {
    const begun = recall(KEY);
    if (begun && !running) follow(begun);
  }

  async function follow(begun) {
    running = begun;
    stopping = null;
    remember(KEY, begun);
    buttons();
    for (;;) {
      const now = await askUntilAnswered(server, "progress", { id: begun.id }, wrong); // it goes on learning there
      if (now.error) {
        wrong(now.error);
        break;
      }
      now.ways.forEach(draw);
      if (!now.live) {
        end(now, begun);
        break;
      }
      tell(...stopping ?? [now.says || sentence(now.ways)]);
      await new Promise((done) => setTimeout(done, EVERY));
    }
    running = null;
    remember(KEY, null);
    buttons();
  }

  const sentence = (ways) => {
    const under = ways.find(({ result, message }) => !result && !message);
    return under ? `Learning: ${under.title.toLowerCase()} …` : "Testing …";
  };

  function end({ ways, compared, says }, { owner }) {
    tell(says || "Learned. Its models can be chosen in Classify and Attention, too.", Boolean(says));
    $(".o-compared").hidden = !compared;
    $(".o-compared").innerHTML = compared; // the server's own, escaped there
    const there = ways.filter(({ model }) => model);
    if (!there.length) return;
    const best = there.reduce((top, way) => way.result.accuracy > top.result.accuracy ? way : top);
    learned(Object.fromEntries(there.map(({ name, model }) => [name, model])), owner, best.model);
  }

  function draw(way) {
    const { name, chart, result, message } = way;
    if (!panels.has(name)) {
      const panel = Object.assign(document.createElement("div"), { className: "o-way", innerHTML: `<div></div><p class="o-result"></p>` });
      panels.set(name, panel);
      $(".o-ways").append(panel);
    }
    const panel = panels.get(name);
    panel.firstChild.innerHTML = chart;
    panel.lastChild.innerHTML = "<b></b> <span></span>";
    panel.querySelector(".o-result b").textContent = result ? `${result.right} of ${result.n} right` : "";
    panel.querySelector(".o-result span").textContent = result ? worth(result) : message;
  }

  function buttons() {
    $(".o-start").disabled = running !== null;
    $(".o-stop").hidden = !running?.id;
    if (!running) stand(false);
  }

  $(".o-start").onclick = () => start();
  $(".o-stop").onclick = async () => {
    const asked = running;
    tell(...stopping = ["Stopping …"]);
    const { error } = await askUntilAnswered(server, "stop", asked);
    if (error && asked === running) tell(...stopping = [error, true]);
  };
  askUntilAnswered(server, "parents", {}).then(({ parents = [] }) => {
    $(".o-parent").replaceChildren(...parents.map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent })));
  });
  askUntilAnswered(server, "blank", {}).then(({ ways = [] }) => ways.forEach((way) => panels.has(way.name) || draw(way)));
  return { stand, start, resume };
}

// What a count of right answers proves.
export const worth = ({ interval: [low, high], seconds }) =>
  `in ${seconds.toFixed(0)} s. On all such pictures: ${percent(low, 0)} to ${percent(high, 0)} (95% interval).`;
