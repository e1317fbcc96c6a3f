// The tab of one's own pictures: what is collected, learned, and then broken.
import { colorTable } from "../../script/color.js";
import { breakingIn } from "./breaking.js";
import { cameraOn } from "./camera.js";
import { collectingIn } from "./collecting.js";
import { learningIn } from "./learning.js";
import { modelsIn } from "./models.js";

// Until the page has what it opens with, which would replace what is chosen before.
const opening = () => new Promise((done) => {
  // What Gradio says while it waits stands there, too, out of sight.
  const look = () => document.querySelector("#status .v-opened") ? done() : setTimeout(look, 100);
  look();
});

export function mount({ element, server, trigger, constants }) {
  const table = colorTable(constants.colors);
  const camera = cameraOn([...element.querySelectorAll("video")], () => {
    for (const part of [collecting, breaking]) part.cameraChanged();
  });
  const collecting = collectingIn(element, server, constants, camera, () => {
    learning.stand();
    breaking.drawTruth();
  });
  const learning = learningIn(element, server, collecting, (learned, owner, best) => {
    models.add(learned, owner, best);
    choose();
    breaking.learned();
  });
  const models = modelsIn(element, server, (error) => {
    choose();
    breaking.load(error);
  });
  const opened = opening();
  let shown = ""; // key of the model that the other tabs were told of; after a reload they show what the address says
  async function choose() {
    await opened;
    if (models.chosen === shown && models.chosen) return;
    shown = models.chosen;
    if (shown) trigger(constants.events.learned, { ways: models.ways, chosen: shown });
    else trigger(constants.events.gone, {});
  }
  // Also where another was chosen there since, of which nothing is known here.
  function show() {
    shown = "";
    choose();
  }
  const again = () => learning.start(["head"]);
  const breaking = breakingIn(element, server, table, constants, camera, collecting, models, show, again);
  for (const name of [".o-camera-on", ".o-more", ".o-sample"]) element.querySelector(name).disabled = false;
  learning.resume();
  collecting.ready.then(models.restore).then(() => breaking.load());
}
