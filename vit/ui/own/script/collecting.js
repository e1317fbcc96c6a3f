// Collecting: the classes and their pictures, here and on the server.
import { ask, askUntilAnswered, tellError } from "../../script/ask.js";
import { burst, card, parts } from "./cards.js";
import { base64, grab, packed } from "./sending.js";
import { recall, remember } from "./session.js";

const KEY = "vit-own-pictures"; // remembers the token of the set
const HOLD = "Hold a class's button, or its number on the keyboard, for 2 seconds: 20 pictures. Turn and move the thing: where all look alike, the held-out ones prove little.";
const NAMED = 3; // refusals that are said in full

// changed: called after there is more or less.
export function collectingIn(element, server, constants, camera, changed) {
  const $ = (name) => element.querySelector(name);
  const classes = []; // {name, pictures: [{id, src}], card, own: whether the visitor made or named it}
  let token = null, latest = null, filming = null, turn = Promise.resolve();

  $(".o-kept").textContent = `They stay in the server's temporary folder, are shown to nobody, and are deleted at most ${constants.minutes} minutes after you sent them.`;

  // One question after the other: the first one's answer has the token.
  function inTurn(task) {
    turn = turn.then(task).catch((error) => { fail(error); changed(); });
    return turn;
  }

  const question = (name, more) => ask(server, name, { set: token ?? "", ...more });

  function fail(error) {
    tellError($(".o-error"), error);
  }

  function keep(set) {
    token = set;
    $(".o-delete").hidden = !set;
    remember(KEY, set);
  }

  function make(name, pictures = []) {
    const kind = { name, pictures }, colors = constants.classColors;
    kind.color = colors.find((color) => classes.every((other) => other.color !== color)) ?? colors[classes.length % colors.length];
    kind.card = card(kind, { files, film, release, rename, remove, away });
    kind.card.element.addEventListener("input", () => { kind.own = true; });
    kind.card.element.addEventListener("focusin", () => { latest = kind; });
    kind.card.element.addEventListener("pointerdown", () => { latest = kind; });
    classes.push(kind);
    $(".o-cards").append(kind.card.element);
    return kind;
  }

  function fresh() {
    let n = classes.length + 1;
    while (classes.some(({ name }) => name.toLowerCase() === `class ${n}`)) n++;
    return make(`Class ${n}`);
  }

  function drop(kind) {
    if (classes.includes(kind)) classes.splice(classes.indexOf(kind), 1);
    kind.card.element.remove();
    if (latest === kind) latest = null;
  }

  // Where pictures go that were meant for a class, once it is their turn: its card may be gone by then, or never was there.
  function present(kind) {
    if (!kind) return latest ?? classes[0] ?? fresh();
    if (classes.includes(kind)) return kind;
    return classes.find(({ name }) => name === kind.name) ?? make(kind.name);
  }

  // Sends pictures that are packed already; resolves to what the server says.
  async function send(kind, contents) {
    const answer = await question("add", { class: kind.name, files: contents });
    if (answer.error) throw answer.error;
    keep(answer.set);
    kind.pictures.push(...answer.added);
    kind.card.draw();
    changed();
    return answer;
  }

  function files(kind, chosen) {
    fail("");
    const refused = [];
    let done = 0, full = false;
    for (const part of parts(chosen.slice(0, constants.most + 1))) {
      inTurn(async () => {
        if (full) return;
        kind = present(kind);
        const contents = [];
        for (const file of part) await packed(file, constants.largest).then((one) => contents.push(one), (why) => refused.push(why));
        const answer = contents.length ? await send(kind, contents) : { refused: [] };
        refused.push(...answer.refused);
        full = Boolean(answer.full);
        done += part.length;
        kind.card.say(said(done, chosen.length, refused));
      });
    }
  }

  async function film(kind) {
    fail("");
    if (!camera.on) {
      await camera.turnOn().then(() => kind.card.say("The camera is on: hold the button again."), (why) => kind.card.say(why));
      return;
    }
    if (filming) return;
    filming = kind;
    const refused = [];
    let taken = 0;
    await burst(
      async (n) => ({ name: `Picture ${n + 1} of the camera`, content: await base64(await grab($(".o-camera video"), constants.side)) }),
      (contents) => inTurn(async () => {
        const to = present(kind), answer = await send(to, contents);
        taken += contents.length;
        refused.push(...answer.refused);
        to.card.say(said(taken, taken, refused));
      }),
      () => filming === kind && camera.on,
    );
    if (filming === kind) filming = null; // and not another's, begun since
  }

  function release() {
    filming = null;
  }

  function rename(kind, wanted) {
    inTurn(async () => {
      fail("");
      const name = tidied(wanted) || kind.name;
      const refusal = wrongName(name, classes.filter((other) => other !== kind).map((other) => other.name), constants.longest);
      if (refusal) fail(refusal);
      else if (token && name !== kind.name) {
        const answer = await question("rename", { name: kind.name, new: name });
        fail(answer.error);
        kind.name = answer.name ?? kind.name;
      } else kind.name = name;
      kind.card.draw();
      changed();
    });
  }

  function remove(kind, ...ids) {
    inTurn(async () => {
      const answer = ids.length ? await question("remove", { ids }) : {};
      if (answer.lost) throw answer.error;
      fail(answer.error);
      kind.pictures = kind.pictures.filter(({ id }) => !ids.includes(id));
      kind.card.draw();
      kind.card.say("");
      changed();
    });
  }

  function away(kind) {
    remove(kind, ...kind.pictures.map(({ id }) => id));
    inTurn(() => {
      if (kind.pictures.length) return; // the server was not reached, and has them still
      drop(kind);
      changed();
    });
  }

  // Resolves to the sentence that says why it was not taken, or to "".
  const addTo = (kind, one) => inTurn(async () => {
    fail("");
    try {
      const { added, refused } = await send(present(kind), [one]);
      return added.length ? "" : refused[0];
    } catch (why) {
      changed(); // the set may be gone
      return String(why);
    }
  });

  // What the server has. A card that it knows nothing of stays where the visitor made or named it.
  async function restore() {
    const answer = token ? await askUntilAnswered(server, "collected", { set: token }, fail) : {};
    fail("");
    if (answer.error) keep(null);
    const there = new Map((answer.classes ?? []).map(({ name, pictures }) => [name, pictures]));
    for (const kind of [...classes]) {
      kind.pictures = there.get(kind.name) ?? [];
      if (!there.delete(kind.name) && !kind.own) drop(kind);
      kind.card.draw();
      kind.card.say("");
    }
    for (const [name, pictures] of there) make(name, pictures);
    while (classes.length < 2) fresh();
    changed();
  }

  $(".o-more").onclick = async () => {
    await ready; // or its name might be one that is there already
    const kind = fresh();
    kind.own = true;
    kind.card.element.querySelector("input").focus();
    changed();
  };
  $(".o-sample").onclick = () => inTurn(async () => {
    fail("");
    const answer = await question("sample");
    if (answer.error) throw answer.error;
    keep(answer.set);
    await restore();
  });
  $(".o-delete").onclick = () => inTurn(async () => {
    const answer = await question("delete_now");
    if (answer.error) throw answer.error;
    keep(null);
    await restore();
    $(".o-camera-says").textContent = "Your pictures are deleted.";
  });
  $(".o-camera-on").onclick = () => {
    $(".o-camera-says").textContent = "";
    if (camera.on) camera.turnOff();
    else camera.turnOn().catch((why) => { $(".o-camera-says").textContent = why; });
  };

  function cameraChanged() {
    $(".o-camera video").hidden = !camera.on;
    $(".o-camera-on").textContent = camera.on ? "Turn the camera off" : "Turn the camera on";
    $(".o-camera-says").textContent = camera.on ? HOLD : "";
  }

  const seen = () => element.offsetParent !== null;
  const typing = ({ target }) => target.closest?.("input, textarea, select, [contenteditable]");
  document.addEventListener("paste", (event) => {
    const pasted = [...event.clipboardData?.files ?? []];
    if (!seen() || typing(event) || !pasted.length) return;
    event.preventDefault();
    files(latest ?? classes[0], pasted);
  });
  document.addEventListener("keydown", (event) => {
    const kind = classes[Number(event.key) - 1];
    if (!kind || event.repeat || !seen() || typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    film(kind);
  });
  document.addEventListener("keyup", ({ key }) => { if (filming && classes[Number(key) - 1] === filming) release(); });

  // tell: called with a sentence while nothing comes.
  async function standing(tell) {
    const set = token;
    if (!set) return { ready: false, says: "Collect pictures of two things, or try it with our drawings." };
    const answer = await askUntilAnswered(server, "standing", { set, names: classes.map(({ name }) => name) }, tell);
    if (answer.gone && set === token) {
      keep(null);
      for (const kind of classes) {
        kind.pictures = [];
        kind.card.draw();
      }
    }
    return answer;
  }

  keep(recall(KEY));
  const ready = inTurn(restore);
  return {
    cameraChanged,
    ready,
    classes,
    get token() { return token; },
    addTo,
    standing,
  };
}

// A class's name as the server keeps it.
export const tidied = (name) => name.normalize("NFC").trim().replace(/\s+/g, " ");

// Why a class can't be called so beside others, as the server says it; "" where it can.
export function wrongName(name, others, longest) {
  const length = [...name].length, alike = others.find((other) => other.toLowerCase() === name.toLowerCase());
  if (length > longest) return `“${[...name].slice(0, longest).join("")} …” has ${length} characters, ${longest} are the most; shorten it.`;
  return alike === undefined ? "" : `There is a class “${alike}” already; give it another name.`;
}

// How many are there, and what is left out.
export function said(done, of, refused) {
  const progress = done < of ? `${done} of ${of} sent` : refused.length ? `${of - refused.length} of ${of} taken` : "";
  const more = refused.length > NAMED ? [`And ${refused.length - NAMED} more.`] : [];
  return [progress && `${progress}.`, ...refused.slice(0, NAMED), ...more].filter(Boolean).join(" ");
}
