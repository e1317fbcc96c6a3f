// Breaking: what the model says of the camera's picture, live, and of one that is held; the failed one goes to its class.
import { ask, tellError } from "../../script/ask.js";
import { paint } from "../../script/canvas.js";
import { step, withAlpha } from "../../script/color.js";
import { copyLink, linkTo } from "../../script/copy.js";
import { percent } from "../../script/format.js";
import { base64, grab, packed } from "./sending.js";

// models: of which one is looked at. show: called where the other tabs are to show that one.
export function breakingIn(element, server, table, constants, camera, collecting, models, show, again) {
  const $ = (name) => element.querySelector(name);
  const section = $(".o-break"), video = $(".o-stage video"), image = $(".o-stage img"), overlay = $(".o-stage canvas");
  let held = null, live = false, turn = 0; // held: {name, content} of the picture that stands still

  // The chosen model's answer, now that it is another.
  function load(error) {
    section.hidden = !models.chosen;
    fail(error);
    if (!models.chosen) return stopLive();
    drawTruth();
    if (held) answerHeld(++turn, error);
    else if (live) return;
    else if (camera.on) goLive();
    else holdOne();
  }

  function learned() {
    $(".o-added").textContent = "";
    $(".o-again").hidden = true;
    load();
  }

  // One of those that were collected, until there is another.
  function holdOne() {
    const one = collecting.classes.flatMap(({ pictures }) => pictures).at(-1);
    if (one) hold({ name: "A picture of yours", content: one.src.split(",")[1] }, one.src);
  }

  const colorOf = (name) => collecting.classes.find((kind) => kind.name === name)?.color ?? "var(--v-train)";

  function drawTruth() {
    $(".o-truth").replaceChildren(...collecting.classes.filter(({ pictures }) => pictures.length).map((kind) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "x-quiet-button", textContent: kind.name });
      button.onclick = async () => {
        $(".o-added").textContent = "";
        const why = await collecting.addTo(kind, held);
        $(".o-added").textContent = why ? `Not added to “${kind.name}”: ${why}` : `Added to “${kind.name}”.`;
        if (!why) $(".o-again").hidden = false;
      };
      return button;
    }));
  }

  function draw({ bars, grid, map }) {
    $(".v-verdict b").textContent = bars[0][0];
    $(".v-bars").replaceChildren(...bars.map(([name, share]) => {
      const item = document.createElement("li");
      item.innerHTML = `<span class="v-name"></span><span class="v-bar"><i></i></span><span class="v-percent"></span>`;
      item.querySelector(".v-name").textContent = name;
      item.querySelector("i").style = `width:${100 * share}%;background:${colorOf(name)}`;
      item.querySelector(".v-percent").textContent = percent(share, 0);
      return item;
    }));
    cover(grid, map);
  }

  // Nothing is said of a picture that has no answer.
  function empty() {
    $(".v-verdict b").textContent = "";
    $(".v-bars").replaceChildren();
    overlay.width = overlay.height = 1;
  }

  function cover([h, w], map) {
    const top = Math.max(...map, 1e-9);
    paint(overlay, w, h, Uint32Array.from(map, (weight) => {
      const place = step(weight, top);
      return withAlpha(table[place], 255 * (0.1 + 0.5 * place / 255));
    }));
  }

  const fail = (error) => tellError($(".o-break-error"), error);

  const look = (content) => ask(server, "look", { model: models.chosen, content });

  // One picture after the other, as fast as the server answers, while they are seen.
  async function goLive() {
    const mine = ++turn, times = [];
    live = true;
    held = null;
    drawStage();
    while (mine === turn && camera.on) {
      if (document.hidden || !overlay.offsetParent || !video.videoWidth) {
        await new Promise((done) => setTimeout(done, 200));
        continue;
      }
      const answer = await look(await base64(await grab(video, constants.side)));
      if (mine !== turn) return;
      fail(answer.error);
      if (answer.error) break;
      draw(answer);
      times.push(performance.now());
      if (times.length > 10) times.shift();
      if (times.length > 2) $(".o-rate").textContent = `${(1000 * (times.length - 1) / (times.at(-1) - times[0])).toFixed(1)} pictures a second`;
    }
    if (mine === turn) live = false;
    drawStage();
  }

  // Also where an answer is on its way.
  function stopLive() {
    turn++;
    live = false;
    drawStage();
  }

  async function hold(one, src) {
    const mine = ++turn;
    live = false;
    held = one;
    image.src = src;
    drawStage();
    drawTruth();
    $(".o-added").textContent = "";
    await answerHeld(mine);
  }

  async function answerHeld(mine = ++turn, before = "") {
    $(".o-cover-says").textContent = "";
    const answer = await look(held.content);
    if (mine !== turn) return;
    fail(answer.error ?? before);
    if (answer.error) empty();
    else draw(answer);
  }

  function drawStage() {
    video.hidden = !live;
    image.hidden = !held;
    overlay.hidden = !live && !held;
    $(".o-still").hidden = !held;
    $(".o-freeze").hidden = !live;
    $(".o-live").textContent = live ? "Camera off" : "Camera";
    if (!live) $(".o-rate").textContent = "";
  }

  async function drop(file) {
    try {
      const one = await packed(file, constants.largest);
      await hold(one, URL.createObjectURL(file));
    } catch (why) {
      fail(String(why));
    }
  }

  $(".o-live").onclick = () => {
    if (live) {
      stopLive();
      camera.turnOff();
    } else camera.turnOn().then(goLive, fail);
  };
  $(".o-freeze").onclick = async () => {
    const content = await base64(await grab(video, constants.side));
    await hold({ name: "The picture that failed", content }, `data:image/jpeg;base64,${content}`);
  };
  $(".o-one").onclick = () => $(".o-one-file").click();
  $(".o-one-file").onchange = () => {
    const [file] = $(".o-one-file").files;
    if (file) drop(file);
    $(".o-one-file").value = "";
  };
  section.ondragover = (event) => event.preventDefault();
  section.ondrop = (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) drop(file);
  };
  for (const button of section.querySelectorAll("[data-tab]")) button.addEventListener("click", show);
  $(".o-cover").onclick = async () => {
    const mine = turn;
    $(".o-cover-says").textContent = "Covering one place after the other …";
    const answer = await ask(server, "cover", { model: models.chosen, content: held.content });
    if (mine !== turn) return;
    $(".o-cover-says").textContent = answer.error ?? answer.says;
    if (!answer.error) cover(answer.grid, answer.map);
  };
  $(".o-again").onclick = () => again();
  $(".o-link").onclick = () => {
    copyLink($(".o-copied"), linkTo({ tab: "classify", model: models.chosen }), "The model's link", "Copied.");
  };

  function cameraChanged() {
    if (!camera.on && live) stopLive();
    else drawStage();
  }

  return { load, learned, drawTruth, cameraChanged };
}
