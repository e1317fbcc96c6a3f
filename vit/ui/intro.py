"""What the page is, above the tabs: one sentence, and three steps beside a picture that is cut into its patches."""

from html import escape

import gradio as gr
import torch

from vit.data import shapes
from vit.live.space import NAME as SPACE
from vit.ui import pictures

PAPER = "https://arxiv.org/abs/2010.11929"
DRAWN = (40, 7, 10)  # of so many scenes, by this seed, the one whose object is seen best
PATCH, GAP, SCALE = 4, 1, 2  # pixels of the picture, and how often each is repeated
ASKING, ASKED = (3, 3), ((1, 3), (2, 5), (4, 2), (5, 5), (6, 1))  # rows and columns: a token of the object, and others

# Runs as the component is mounted, before it is painted: a module comes later, and the page would jump.
FOLD = """
const details = element.querySelector("details"), used = "vit-live-used";
const remember = () => { try { localStorage.setItem(used, "yes"); } catch { /* a browser that keeps nothing */ } };
const known = () => { try { return localStorage.getItem(used); } catch { return null; } };
details.open = innerWidth > 640 && !known();
details.addEventListener("toggle", () => { if (!details.open) remember(); });
const projector = matchMedia("(min-width: 1800px)"); // the same page, read from the last row
const scale = () => { document.body.style.zoom = projector.matches ? 1.3 : ""; };
projector.addEventListener("change", scale);
scale();
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-tab]");
  if (button) {
    [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent.trim() === button.dataset.tab)?.click();
  }
  if (!event.isTrusted || !event.target.closest?.("#start, [role=tab], [data-tab]")) return;
  remember();
  details.open = false;
});
"""


def build() -> gr.HTML:
    """Lays it out; it folds away once the page was used, and on a phone from the start."""
    return gr.HTML(_html(), js_on_load=FOLD, apply_default_css=False, elem_id="intro")


def _html() -> str:
    images, labels, _ = shapes.draw(*DRAWN[:2])
    picture, name = images[DRAWN[2]], shapes.CLASSES[labels[DRAWN[2]]]
    whole, cut = pictures.data_uri(_larger(picture)), pictures.data_uri(_larger(_cut(picture)))
    count = (shapes.SIZE // PATCH) ** 2
    steps = (
        ("Train", "Train one", "A few minutes at most; its attention forms before your eyes."),
        ("Classify", "Use it", "On test pictures, or on your own."),
        ("Attention", "Look inside", "Every layer and every head: where does it look, and why?"),
    )
    buttons = "".join(
        f'<li><button type="button" data-tab="{tab}"><b>{number} {title}</b><span>{text}</span></button></li>'
        for number, (tab, title, text) in enumerate(steps, start=1)
    )
    told = f"A {name}; the same cut into {count} patches; one patch joined by lines to others; the word {name}."
    pictures_of = f'<img src="{whole}" alt="">', f'<img src="{cut}" alt="">', f'<img src="{cut}" alt="">{_lines()}'
    named = f'<b class="i-name">{escape(name)}</b>'
    captions = ("A picture", f"{count} patches, each a token", "Tokens look at each other", "One token names it")
    story = "<i>→</i>".join(
        f'<figure class="i-part">{shown}<figcaption>{caption}</figcaption></figure>'
        for shown, caption in zip((*pictures_of, named), captions, strict=True)
    )
    return (
        f'<details><summary>What is this?</summary><div class="i-body"><div class="i-story" role="img" '
        f'aria-label="{escape(told)}">{story}</div><div><p>A <b>Vision Transformer</b> cuts a picture into patches and '
        f"lets them look at each other, layer after layer, until one token can name the picture. This one is small "
        f'enough to train while you watch. {_links()}</p><ol class="i-steps">{buttons}</ol></div></div></details>'
    )


def _links() -> str:
    """The lesson, the paper, and in a Space, whose address is known, the README."""
    readme = (
        f'<a href="https://huggingface.co/spaces/{escape(SPACE)}/blob/main/README.md">README</a> · ' if SPACE else ""
    )
    lesson = '<button type="button" class="i-lesson" data-tab="How it works">How it works, in seven steps</button> · '
    return f'{lesson}{readme}<a href="{PAPER}">The paper</a>'


def _cut(picture: torch.Tensor) -> torch.Tensor:
    """(3, H, W) with white gaps between its patches."""
    for side in (1, 2):
        parts = picture.split(PATCH, dim=side)
        gap = torch.full_like(parts[0].narrow(side, 0, GAP), 255)
        picture = torch.cat([piece for part in parts for piece in (part, gap)][:-1], dim=side)
    return picture


def _larger(picture: torch.Tensor) -> torch.Tensor:
    return picture.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)


def _lines() -> str:
    """From a token of the object to others, over the cut picture."""
    side = shapes.SIZE // PATCH

    def middle(patch: tuple[int, int]) -> tuple[float, float]:
        return tuple(100 * (at + 0.5) / side for at in reversed(patch))

    (x, y), ends = middle(ASKING), map(middle, ASKED)
    drawn = "".join(f'<path d="M{x} {y}L{i} {j}"/><circle cx="{i}" cy="{j}" r="3"/>' for i, j in ends)
    return f'<svg viewBox="0 0 100 100" aria-hidden="true">{drawn}<circle cx="{x}" cy="{y}" r="4.5"/></svg>'
