// A picture in gray under colors, a color and a strength a patch.
// picture: size {width, height} and gray, its luma; grid: h and w. shade(patch): a packed color; strength(patch): in 0 to 1.
export function blend({ size, gray, h, w }, shade, strength) {
  const { width, height } = size, pixels = new Uint32Array(width * height), patches = [...Array(h * w).keys()];
  const colors = Uint32Array.from(patches, shade), strengths = Float64Array.from(patches, strength); // once a patch, not a pixel
  const columns = Uint32Array.from({ length: width }, (_, x) => Math.floor(x * w / width));
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y * h / height) * w;
    for (let x = 0; x < width; x++, i++) {
      const color = colors[row + columns[x]], a = strengths[row + columns[x]], under = (1 - a) * gray[i];
      pixels[i] = 0xff000000 | (a * (color >> 16 & 255) + under) << 16
        | (a * (color >> 8 & 255) + under) << 8 | a * (color & 255) + under;
    }
  }
  return pixels;
}
