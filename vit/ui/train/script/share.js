// A run's view-only page as a link and as a QR code, which is drawn when it is opened.
import { drawQr } from "../../script/qr.js";

export const watchLink = ({ origin, pathname }, run) =>
  `${origin}${pathname.replace(/\/*$/, "/")}watch?run=${encodeURIComponent(run)}`;
const ALONE = /^(localhost|127\.|0\.0\.0\.0|\[::1\])/;

export function mount({ element, props, watch }) {
  const $ = (name) => element.querySelector(name);
  const load = () => {
    const run = props.value;
    $("details").hidden = !run;
    if (!run) return;
    const link = watchLink(location, run);
    Object.assign($(".s-link"), { href: link, textContent: link });
    $(".s-warning").hidden = !ALONE.test(location.hostname);
    $(".s-code").setAttribute("aria-label", `QR code of ${link}`);
    drawQr($(".s-code"), link);
  };
  watch("value", load);
  load();
}
