import assert from "node:assert";
import test from "node:test";
import { coverMap, coverSentence, forgetCover } from "../../vit/ui/attention/script/cover.js";

const answer = { class: 1, brightest: 12.34, random: 3.21, draws: [1, 2, 3, 4, 5] };

test("the sentence never leaves the random fifth out", () => {
  assert.equal(coverSentence(answer, "heart"),
    "Covering the brightest fifth of it costs heart 12.3 points of probability; a random fifth costs 3.2 (5 draws).");
});

test("an answer that comes after the map changed is not shown", async () => {
  const tab = { view: { token: "t", classes: ["arrow", "heart"] }, $: () => ({}), server: { cover: async () => answer } };
  const output = {};
  await coverMap(tab, output, [1, 2]);
  assert.match(output.textContent, /costs heart 12.3/);
  const late = coverMap(tab, output, [1, 2]);
  forgetCover(output);
  await late;
  assert.equal(output.textContent, "");
});
