// One's own pictures: what is sent in parts, filmed and said.
import assert from "node:assert/strict";
import test from "node:test";
import { cameraOn, INSECURE, refusal } from "../../vit/ui/own/script/camera.js";
import { burst, parts } from "../../vit/ui/own/script/cards.js";
import { said, tidied, wrongName } from "../../vit/ui/own/script/collecting.js";
import { worth } from "../../vit/ui/own/script/learning.js";
import { byTime } from "../../vit/ui/own/script/models.js";
import { packed } from "../../vit/ui/own/script/sending.js";

test("files go in parts that are neither many nor large, a large one alone, and none is lost", () => {
  const files = [1, 2, 900, 3, 4, 5, 6].map((size) => ({ size }));
  const sent = [...parts(files, 10, 3)].map((part) => part.map(({ size }) => size));
  assert.deepEqual(sent, [[1, 2], [900], [3, 4], [5], [6]]);
  assert.deepEqual([...parts([])], []);
});

test("a burst is twenty pictures, handed on as they come, or as many as there are when the button is let go", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const film = async (going) => {
    const sent = [], done = burst((n) => { context.mock.timers.tick(0); return n; }, (part) => sent.push(part), going);
    let over = false;
    done.then(() => { over = true; });
    while (!over) {
      await Promise.resolve();
      context.mock.timers.tick(100);
    }
    return sent;
  };
  const whole = await film(() => true);
  assert.deepEqual(whole.flat(), [...Array(20).keys()]);
  assert.deepEqual(whole.map((part) => part.length), [5, 5, 5, 5]);
  let left = 7;
  assert.deepEqual((await film(() => left-- > 0)).flat(), [0, 1, 2, 3, 4, 5, 6]);
});

globalThis.navigator ??= {}; // which Node has from 21 on

test("where a browser gives no webcam, the page says why", async () => {
  await assert.rejects(cameraOn([], () => {}).turnOn(), (why) => why === INSECURE);
  assert.match(INSECURE, /neither HTTPS nor on this machine/);
  assert.match(refusal({ name: "NotAllowedError" }), /allow it/);
  assert.match(refusal({ name: "SomethingElse" }), /SomethingElse/);
});

test("a class is called neither as another one, whatever the case, nor endlessly", () => {
  assert.equal(wrongName("cup", ["pen", "plate"], 40), "");
  assert.match(wrongName("CUP", ["pen", "Cup"], 40), /^There is a class “Cup” already; give it another name/);
  assert.match(wrongName("茶".repeat(300), [], 40), /^“茶{40} …” has 300 characters, 40 are the most; shorten it/);
});

test("a name is tidied as the server does it: one space between words, and one form of each letter", () => {
  assert.equal(tidied("  red\t cafe\u0301 cup "), "red café cup");
  assert.equal(tidied(" \n"), "");
});

test("what is left out is named, three in full and the others counted", () => {
  assert.equal(said(3, 9, []), "3 of 9 sent.");
  assert.equal(said(9, 9, []), "");
  assert.equal(said(5, 5, ["a.", "b.", "c.", "d.", "e."]), "0 of 5 taken. a. b. c. And 2 more.");
});

test("a result says how far few pictures reach", () => {
  assert.equal(worth({ interval: [0.438, 1], seconds: 3.2 }), "in 3 s. On all such pictures: 44% to 100% (95% interval).");
});

test("a folder that is dropped, which no browser reads as a file, is named with what to do", async () => {
  globalThis.FileReader = class {
    readAsDataURL() { this.error = new Error("NotReadableError"); this.onerror(); }
  };
  await assert.rejects(packed({ name: "cups", size: 4096 }, 2e7), (why) => /^cups can't be read: it is a folder/.test(why));
  await assert.rejects(packed({ name: "film.mov", size: 3e7 }, 2e7), (why) => /^film.mov has more than 20 MB/.test(why));
});

test("models are offered by when they were learned, in the order in which they are kept", () => {
  const models = [["c", "14:02"], ["a", "13:58"], ["b", "13:58"]].map(([key, learned]) => ({ key, learned }));
  assert.deepEqual(byTime(models).map(([learned, those]) => [learned, those.map(({ key }) => key)]), [["14:02", ["c"]], ["13:58", ["a", "b"]]]);
});
