// The webcam: one stream, on whichever video elements show it.
export const INSECURE = "Browsers give no webcam to a page that is neither HTTPS nor on this machine (localhost). Open it by HTTPS, or drop pictures.";

const REFUSED = {
  NotAllowedError: "The browser was not allowed to use the camera; allow it beside the page's address, and try again.",
  NotFoundError: "No camera was found; plug one in, or drop pictures.",
  NotReadableError: "Another program has the camera; close that one, and try again.",
};

export const refusal = (error) => REFUSED[error.name] ?? `The camera can't be used (${error.name}); drop pictures.`;

// videos: that show it while it is on. changed: called after it went on or off.
export function cameraOn(videos, changed) {
  let stream = null, starting = null;

  // Raises the sentence that says why there is none. Asked again while the browser asks, it waits for the same stream.
  const turnOn = () => starting ??= begin().finally(() => { starting = null; });

  async function begin() {
    if (stream) return;
    if (!navigator.mediaDevices?.getUserMedia) throw INSECURE;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: "environment" } });
    } catch (error) {
      throw refusal(error);
    }
    for (const video of videos) {
      video.srcObject = stream;
      await video.play();
    }
    changed();
  }

  function turnOff() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    for (const video of videos) video.srcObject = null;
    changed();
  }

  return { turnOn, turnOff, get on() { return stream !== null; } };
}
