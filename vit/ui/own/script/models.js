// The models that were learned here: which there are is kept while this browser's tab is open; each can be deleted.
import { ask, askUntilAnswered } from "../../script/ask.js";
import { recall, remember } from "./session.js";

const KEY = "vit-own-models", MOST = 24;
export const TITLES = { head: "Head alone", all: "Whole model", scratch: "From scratch" };

// Models by when they were learned, the latest first, as a list of choices shows them: [when, [model]].
export function byTime(models) {
  const groups = new Map();
  for (const model of models) groups.set(model.learned, [...groups.get(model.learned) ?? [], model]);
  return [...groups];
}

// changed: called once another is chosen or one is deleted, with the sentence that says why it could not be.
export function modelsIn(element, server, changed) {
  const $ = (name) => element.querySelector(name), choice = $(".o-model");
  let models = recall(KEY) ?? []; // {key, way, owner, learned: when, in words}, the latest first

  function keep(kept, chosen) {
    models = kept.slice(0, MOST);
    remember(KEY, models);
    choice.replaceChildren(...byTime(models).map(([learned, those]) => {
      const group = Object.assign(document.createElement("optgroup"), { label: `Learned at ${learned}` });
      group.append(...those.map(({ key, way }) => Object.assign(document.createElement("option"), { value: key, textContent: TITLES[way] })));
      return group;
    }));
    choice.value = models.some(({ key }) => key === chosen) ? chosen : models[0]?.key ?? "";
    sure(false);
  }

  // learned: {way: key} of one run; owner: its secret.
  function add(learned, owner, chosen) {
    const now = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    keep([...Object.entries(learned).map(([way, key]) => ({ key, way, owner, learned: now })), ...models], chosen);
  }

  // Those of before a reload that are still here.
  async function restore() {
    const before = models.map(({ key }) => key);
    if (!before.length) return;
    const { models: there = [] } = await askUntilAnswered(server, "there", { models: before });
    keep(models.filter(({ key }) => there.includes(key) || !before.includes(key)), choice.value);
  }

  function sure(asked) {
    const one = models.find(({ key }) => key === choice.value);
    $(".o-sure").hidden = !asked;
    $(".o-forget").hidden = asked;
    if (asked) $(".o-sure span").textContent = `Delete “${TITLES[one.way]}” of ${one.learned} for good? Its link then leads nowhere.`;
  }

  async function forget() {
    const { key, owner } = models.find((one) => one.key === choice.value);
    const answer = await ask(server, "delete_model", { model: key, owner });
    const { models: there = [], lost } = answer.error ? await ask(server, "there", { models: [key] }) : {};
    if (!lost && !there.includes(key)) keep(models.filter((one) => one.key !== key));
    sure(false);
    changed(answer.error);
  }

  choice.addEventListener("change", () => { sure(false); changed(); });
  $(".o-forget").onclick = () => { sure(true); $(".o-keep").focus(); };
  $(".o-keep").onclick = () => { sure(false); $(".o-forget").focus(); };
  $(".o-really").onclick = forget;

  return {
    add,
    restore,
    get chosen() { return choice.value; },
    get ways() { return Object.fromEntries(models.map(({ key, way }) => [key, way])); },
  };
}
