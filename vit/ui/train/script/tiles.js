// Small images side by side, a transparent pixel between them.
// columns: tiles a row; h, w: of a tile; pixelAt(tile, row, column): a packed color. Returns width, height and pixels.
export function tiles(count, columns, h, w, pixelAt) {
  const rows = Math.ceil(count / columns), width = columns * (w + 1) - 1, height = rows * (h + 1) - 1;
  const pixels = new Uint32Array(width * height);
  for (let tile = 0; tile < count; tile++) {
    const corner = Math.floor(tile / columns) * (h + 1) * width + tile % columns * (w + 1);
    for (let j = 0; j < h; j++) for (let i = 0; i < w; i++) pixels[corner + j * width + i] = pixelAt(tile, j, i);
  }
  return { width, height, pixels };
}
