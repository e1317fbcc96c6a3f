// The cards, one a class: its name, its pictures, and the ways in.
const FRAMES = 20, EVERY = 100; // of one hold; milliseconds

const CARD = `
  <div class="o-head"><i></i><input class="o-name" aria-label="Name of the class">
    <output class="o-count"></output><button type="button" class="o-away" aria-label="Remove this class">×</button></div>
  <div class="o-thumbs" role="group"></div>
  <div class="o-row"><button type="button" class="o-hold x-quiet-button" title="2 seconds, 20 pictures">Hold to film</button>
    <button type="button" class="o-files x-quiet-button">Choose files</button>
    <input class="o-file" type="file" multiple accept="image/*,.heic,.zip" hidden></div>
  <p class="o-says v-note" role="status"></p>`;

// own: what is done with a class: {files, film, rename, remove, away}.
export function card(kind, own) {
  const element = Object.assign(document.createElement("article"), { className: "o-card", innerHTML: CARD });
  const $ = (name) => element.querySelector(name);
  element.tabIndex = -1;
  $(".o-head i").style.background = kind.color;
  $(".o-name").value = kind.name;
  $(".o-name").onchange = () => own.rename(kind, $(".o-name").value);
  $(".o-name").onkeydown = (event) => { if (event.key === "Enter") $(".o-name").blur(); };
  $(".o-away").onclick = () => own.away(kind);
  $(".o-files").onclick = () => $(".o-file").click();
  $(".o-file").onchange = () => {
    own.files(kind, [...$(".o-file").files]);
    $(".o-file").value = "";
  };
  element.ondragover = (event) => { event.preventDefault(); element.classList.add("over"); };
  element.ondragleave = () => element.classList.remove("over");
  element.ondrop = (event) => {
    event.preventDefault();
    element.classList.remove("over");
    own.files(kind, [...event.dataTransfer.files]);
  };
  holding($(".o-hold"), () => own.film(kind), own.release);

  function draw() {
    const n = kind.pictures.length;
    if (document.activeElement !== $(".o-name")) $(".o-name").value = kind.name; // what is typed just now stays
    element.ariaLabel = `Class ${kind.name}`;
    $(".o-thumbs").ariaLabel = `Pictures of ${kind.name}`;
    $(".o-count").textContent = `${n} picture${n === 1 ? "" : "s"}`;
    $(".o-thumbs").replaceChildren(...kind.pictures.map(({ id, src }, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: "Remove this picture" });
      button.append(Object.assign(document.createElement("img"), { src, alt: `Remove picture ${i + 1} of ${kind.name}` }));
      button.onclick = () => own.remove(kind, id);
      return button;
    }));
  }

  const say = (text) => { $(".o-says").textContent = text; };
  draw();
  return { element, draw, say };
}

// While the button is held, by finger, mouse or key.
function holding(button, begin, end) {
  button.addEventListener("pointerdown", (event) => { button.setPointerCapture(event.pointerId); begin(); });
  for (const name of ["pointerup", "pointercancel", "blur"]) button.addEventListener(name, end);
  button.addEventListener("keydown", (event) => {
    if (![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  button.addEventListener("keyup", end);
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch opens one
}

// Takes FRAMES pictures, or fewer where going() turns false before. take: one picture. Hands each few to send.
export async function burst(take, send, going) {
  let waiting = [];
  for (let n = 0, at = performance.now(); n < FRAMES && going(); n++, at += EVERY) {
    waiting.push(await take(n));
    if (waiting.length === 5) {
      send(waiting);
      waiting = [];
    }
    await new Promise((done) => setTimeout(done, Math.max(0, at + EVERY - performance.now())));
  }
  if (waiting.length) send(waiting);
}

// A few files at a time: as many as fit into so many characters.
export function* parts(files, most = 1_500_000, count = 10) {
  let part = [], size = 0;
  for (const file of files) {
    if (part.length && (size + file.size > most || part.length === count)) {
      yield part;
      [part, size] = [[], 0];
    }
    part.push(file);
    size += file.size;
  }
  if (part.length) yield part;
}
