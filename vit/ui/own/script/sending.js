// Pictures on their way to the server: scaled down here where the browser can, as most phones' are far larger than needed.
const ENOUGH = 448; // pixels of the shorter side
const AS_IT_IS = 200_000; // bytes

// A file as base64. Raises the sentence that says why it can't be sent.
export async function packed(file, largest) {
  const blob = await smaller(file);
  if (blob.size > largest) throw `${file.name} has more than ${largest / 1e6} MB; scale it down first.`;
  const content = await base64(blob).catch(() => {
    throw `${file.name} can't be read: it is a folder, or not there any more; choose the files in it.`;
  });
  return { name: file.name, content };
}

async function smaller(file) {
  if (file.size < AS_IT_IS) return file;
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return file; // a zip, or what this browser can't open: the server may
  }
  const scale = Math.min(1, ENOUGH / Math.min(image.width, image.height));
  const canvas = Object.assign(document.createElement("canvas"), {
    width: Math.round(scale * image.width), height: Math.round(scale * image.height),
  });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return await jpeg(canvas);
}

// The central square of what a camera shows, as a JPEG of that many pixels a side.
export function grab(video, side) {
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const { videoWidth: width, videoHeight: height } = video, short = Math.min(width, height);
  canvas.getContext("2d").drawImage(video, (width - short) / 2, (height - short) / 2, short, short, 0, 0, side, side);
  return jpeg(canvas);
}

const jpeg = (canvas) => new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));

export const base64 = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(blob);
});
