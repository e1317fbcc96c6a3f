// A text as a QR code (ISO/IEC 18004): bytes, error correction level M, versions 1 to 10, so at most 213 bytes.
const EXTRA = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26]; // codewords of correction in each block, by version from 1
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
const CODEWORDS = [26, 44, 70, 100, 134, 172, 196, 242, 292, 346]; // in all
const CENTERS = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];
const MASKS = [
  (y, x) => (y + x) % 2, (y) => y % 2, (y, x) => x % 3, (y, x) => (y + x) % 3,
  (y, x) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2, (y, x) => y * x % 2 + y * x % 3,
  (y, x) => (y * x % 2 + y * x % 3) % 2, (y, x) => ((y + x) % 2 + y * x % 3) % 2,
]; // what is 0 is turned over

// GF(256) with the polynomial x^8 + x^4 + x^3 + x^2 + 1.
const EXP = [1], LOG = [];
for (let i = 0; i < 255; i++) {
  LOG[EXP[i]] = i;
  EXP.push(EXP[i] << 1 ^ (EXP[i] > 127 ? 0x11d : 0));
}
const times = (a, b) => a && b ? EXP[(LOG[a] + LOG[b]) % 255] : 0;

// The remainder of data by the generator whose roots are the first n powers of 2.
export function correction(data, n) {
  let generator = [1];
  for (let i = 0; i < n; i++) {
    generator = [...generator, 0].map((value, j) => value ^ times(generator[j - 1] ?? 0, EXP[i]));
  }
  const rest = [...data, ...Array(n).fill(0)];
  for (let i = 0; i < data.length; i++) {
    const factor = rest[i];
    generator.forEach((value, j) => { rest[i + j] ^= times(value, factor); });
  }
  return rest.slice(data.length);
}

// Rows of booleans, dark is true, without the quiet zone. mask: 0 to 7; the one that reads best where none is given.
// Throws a RangeError where the text is too long.
export function qr(text, mask) {
  const bytes = new TextEncoder().encode(text), version = versionFor(bytes.length);
  const bits = interleaved(padded(bytes, version), version).flatMap((byte) => toBits(byte, 8));
  const drawn = (m) => masked(version, bits, m);
  if (mask !== undefined) return drawn(mask);
  return MASKS.map((_, m) => drawn(m)).reduce((best, one) => penalty(one) < penalty(best) ? one : best);
}

const dataLength = (version) => CODEWORDS[version - 1] - EXTRA[version - 1] * BLOCKS[version - 1];
const headBits = (version) => version < 10 ? 12 : 20;

function versionFor(length) {
  for (let version = 1; version <= 10; version++) if (headBits(version) + 8 * length <= 8 * dataLength(version)) return version;
  throw new RangeError(`A text of at most 213 bytes fits into this code, got ${length}`);
}

const toBits = (value, count) => Array.from({ length: count }, (_, i) => value >> count - 1 - i & 1);

// Mode, length and bytes, then the padding that is asked for.
function padded(bytes, version) {
  const bits = [...toBits(4, 4), ...toBits(bytes.length, headBits(version) - 4), ...[...bytes].flatMap((byte) => toBits(byte, 8))];
  const room = 8 * dataLength(version);
  bits.push(...Array(Math.min(4, room - bits.length)).fill(0));
  bits.push(...Array(-bits.length & 7).fill(0));
  const codewords = Array.from({ length: bits.length / 8 }, (_, i) => bits.slice(8 * i, 8 * i + 8).reduce((a, b) => a << 1 | b));
  for (let i = 0; codewords.length < room / 8; i++) codewords.push(i % 2 ? 0x11 : 0xec);
  return codewords;
}

// Blocks take turns, those of the data first; the later ones may hold one more.
function interleaved(codewords, version) {
  const count = BLOCKS[version - 1], short = Math.floor(codewords.length / count), longer = codewords.length % count;
  const blocks = Array.from({ length: count }, (_, b) => {
    const start = b * short + Math.max(0, b - (count - longer));
    return codewords.slice(start, start + short + (b >= count - longer ? 1 : 0));
  });
  const turns = (parts) => Array.from({ length: Math.max(...parts.map((part) => part.length)) }, (_, i) =>
    parts.filter((part) => i < part.length).map((part) => part[i])).flat();
  return [...turns(blocks), ...turns(blocks.map((block) => correction(block, EXTRA[version - 1])))];
}

// What every code of a version has: finders, timing, alignment; undefined where data goes. Format and version are drawn.
function frame(version, mask) {
  const size = 17 + 4 * version, grid = Array.from({ length: size }, () => Array(size).fill(undefined));
  const ring = (y, x, dark) => {
    for (let j = -4; j <= 4; j++) for (let i = -4; i <= 4; i++) {
      if (grid[y + j]?.[x + i] !== undefined || !(y + j in grid) || x + i < 0 || x + i >= size) continue;
      const far = Math.max(Math.abs(j), Math.abs(i));
      if (dark(far) !== undefined) grid[y + j][x + i] = dark(far);
    }
  };
  for (const [y, x] of [[3, 3], [3, size - 4], [size - 4, 3]]) ring(y, x, (far) => far !== 2 && far !== 4);
  const centers = CENTERS[version - 1], last = centers.at(-1);
  for (const y of centers) for (const x of centers) {
    const corner = (y === 6 && (x === 6 || x === last)) || (y === last && x === 6);
    if (!corner) ring(y, x, (far) => far > 2 ? undefined : far !== 1);
  }
  for (let i = 8; i < size - 8; i++) grid[6][i] = grid[i][6] = i % 2 === 0;
  format(grid, mask);
  if (version >= 7) drawVersion(grid, version);
  return grid;
}

// A number and the remainder of its division, as BCH codes have it.
function withRemainder(value, bits, generator, length) {
  let rest = value << bits;
  for (let i = length - 1; i >= bits; i--) if (rest >> i & 1) rest ^= generator << i - bits;
  return value << bits | rest;
}

function format(grid, mask) {
  const size = grid.length, code = withRemainder(mask, 10, 0x537, 15) ^ 0x5412; // level M is 00
  const bit = (i) => (code >> i & 1) === 1;
  for (let i = 0; i < 15; i++) {
    const along = i < 6 ? i : i < 8 ? i + 1 : size - 15 + i; // down the column at the left finder
    grid[along][8] = bit(i);
    grid[8][i < 8 ? size - 1 - i : i < 9 ? 7 : 14 - i] = bit(i);
  }
  grid[size - 8][8] = true;
}

function drawVersion(grid, version) {
  const code = withRemainder(version, 12, 0x1f25, 18), far = grid.length - 11;
  for (let i = 0; i < 18; i++) {
    grid[far + i % 3][Math.floor(i / 3)] = grid[Math.floor(i / 3)][far + i % 3] = (code >> i & 1) === 1;
  }
}

// The bits go up and down in columns of two, from the right, around what is taken.
function masked(version, bits, mask) {
  const grid = frame(version, mask), size = grid.length, free = grid.map((row) => row.map((dark) => dark === undefined));
  let at = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) for (const x of [right, right - 1]) {
      const y = up ? size - 1 - step : step;
      if (free[y][x]) grid[y][x] = ((bits[at++] ?? 0) === 1) !== (MASKS[mask](y, x) === 0);
    }
  }
  return grid;
}

// The lower the better: long runs, squares, what looks like a finder, and an uneven share of dark.
function penalty(grid) {
  const size = grid.length, columns = grid.map((_, x) => grid.map((row) => row[x]));
  let sum = 0, dark = 0;
  for (const lines of [grid, columns]) for (const line of lines) {
    const text = line.map(Number).join("");
    for (const run of text.match(/0+|1+/g)) if (run.length >= 5) sum += run.length - 2;
    sum += 40 * (text.match(/(?=10111010000|00001011101)/g) ?? []).length;
  }
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    dark += grid[y][x];
    if (y && x && grid[y][x] === grid[y - 1][x] && grid[y][x] === grid[y][x - 1] && grid[y][x] === grid[y - 1][x - 1]) sum += 3;
  }
  return sum + 10 * Math.floor(Math.abs(20 * dark / size / size - 10));
}

// On a canvas, a pixel a module, with the quiet zone of four.
export function drawQr(canvas, text) {
  const grid = qr(text), size = grid.length + 8, context = canvas.getContext("2d");
  Object.assign(canvas, { width: size, height: size });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, size, size);
  context.fillStyle = "#000";
  grid.forEach((row, y) => row.forEach((on, x) => on && context.fillRect(x + 4, y + 4, 1, 1)));
}
