// Bytes as the server sends them, in base64.
export const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

// What zlib.compress packed.
export async function inflate(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
