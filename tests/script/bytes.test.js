import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { bytes, inflate } from "../../vit/ui/script/bytes.js";

const data = Uint8Array.from({ length: 3000 }, (_, i) => i * i % 256);

test("bytes come back from base64", () => {
  assert.deepEqual(bytes(Buffer.from(data).toString("base64")), data);
});

test("what zlib deflated is inflated", async () => {
  assert.deepEqual(await inflate(deflateSync(data).toString("base64")), data);
});
