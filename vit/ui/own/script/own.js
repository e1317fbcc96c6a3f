// The tab of one's own pictures: what is collected, learned, and then broken.
import { colorTable } from "../../script/color.js";
import { breakingIn } from "./breaking.js";
import { cameraOn } from "./camera.js";
import { collectingIn } from "./collecting.js";
import { learningIn } from "./learning.js";

export function mount({ element, server, trigger, constants }) {
  const table = colorTable(constants.colors);
  const camera = cameraOn([...element.querySelectorAll("video")], () => {
    for (const part of [collecting, breaking]) part.cameraChanged();
  });
  const collecting = collectingIn(element, server, constants, camera, () => {
    learning.stand();
    breaking.drawTruth();
  });
  const learning = learningIn(element, server, collecting, (models, best) => {
    trigger(constants.events.learned, { models, best });
    breaking.load(models, best);
  });
  const breaking = breakingIn(element, server, table, constants, camera, collecting, () => learning.start(["head"]));
}
