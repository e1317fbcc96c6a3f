"""What Classify and Attention share: the gallery of test pictures, and the upload."""

import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from vit.data.decode import Frame
from vit.data.registry import fallback, label
from vit.live import models, uploads
from vit.live.datasets import SOURCES
from vit.ui import chooser, scripts
from vit.ui.errors import as_bad_input
from vit.ui.sessions import AsChosen

PER_CLASS = 3
HERE = Path(__file__).parent

# (dataset, index in its test split), or ("upload", path) and which square of it: what a gr.State holds
Picture = tuple[str, int | str] | tuple[str, str, Frame]


def named(name: object) -> Picture | None:
    """The picture that links and galleries call shapes-17, which need not exist; None where that is no such name."""
    source, _, index = str(name).rpartition("-")
    return (source, int(index)) if source in SOURCES and index.isdecimal() and len(index) < 10 else None


def outdated(picture: Picture, now: float) -> bool:
    """Whether it is an upload that has been kept for as long as any is. now: as time.time()."""
    return picture[0] == "upload" and uploads.outdated(str(picture[1]), now)


def exists(picture: Picture) -> bool:
    """Whether a dataset's picture can be shown now, without waiting for the dataset."""
    splits = SOURCES[picture[0]].splits
    return splits is not None and picture[1] < len(splits.test)


def gallery_source(key: str | None) -> str:
    """The dataset whose test pictures suit the model; the built-in one while they aren't at hand. Raises BadInput."""
    with as_bad_input():  # it may have gone since the page was opened
        wanted = models.dataset(models.find(key)) if key else fallback().name
    return wanted if SOURCES[wanted].splits is not None else fallback().name


def chosen(source: str, page: int) -> list[int]:
    """Indices of the page's test pictures, the same number of each class, in the order of the classes."""
    test = SOURCES[source].load().test
    mixed = torch.randperm(len(test), generator=torch.Generator().manual_seed(page))
    by_class = [mixed[test.labels[mixed] == label][:PER_CLASS] for label in range(len(test.classes))]
    return torch.stack(by_class, dim=1).flatten().tolist()  # a row has one of each class


def worth_seeing(key: str | None, source: str) -> dict[int, str]:
    """The test pictures that were chosen for a model: index -> why."""
    count = len(SOURCES[source].load().test)
    return {i: why for i, why in models.worth_seeing(key, source).items() if i < count}


def offered(key: str | None, source: str, page: int) -> list[int]:
    """Indices on a page of the gallery; the first one begins with what was chosen for the model."""
    mixed = chosen(source, page)
    first = [] if page else list(worth_seeing(key, source))
    return [*first, *(i for i in mixed if i not in first)][: len(mixed)]


def gallery(key: str | None, page: int, picked: Picture) -> dict:
    """What the gallery shows: the pictures, their classes, where they come from, and which of them is picked."""
    source = gallery_source(key)
    test = SOURCES[source].load().test
    whys = worth_seeing(key, source)
    pictures = [
        {
            "src": shared_uri(test.images[i]),
            "label": test.classes[test.labels[i]] + (f": {whys[i]}" if i in whys else ""),
            "name": f"{source}-{i}",
        }
        for i in offered(key, source, page)
    ]
    return {"pictures": pictures, "note": note(key, source), "picked": name_of(picked)}


def note(key: str | None, source: str) -> str:
    """Where a model's gallery comes from."""
    if key and (own := models.dataset(models.find(key))) != source:
        return f"{label(own)}'s own test pictures are not at hand; these are of {label(source)}"
    return f"Test pictures of {label(source)}, not used in training"


def name_of(picture: Picture) -> str | None:
    """What links and galleries call it; None for what a visitor sent, which stays with him."""
    return None if picture[0] == "upload" else f"{picture[0]}-{picture[1]}"


def data_uri(pixels: Tensor) -> str:
    """(3, H, W) uint8 -> a PNG that a page can show without a request."""
    return _png(*_bytes(pixels))


def shared_uri(pixels: Tensor) -> str:
    """As data_uri, of a picture that all may see: one string for all, which is kept."""
    return _shared_png(*_bytes(pixels))


def jpeg_uri(pixels: Tensor) -> str:
    """(3, H, W) uint8 -> a JPEG that a page can show without a request: a photo in a tenth of a PNG's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _bytes(pixels: Tensor) -> tuple[bytes, tuple[int, int]]:
    return pixels.permute(1, 2, 0).contiguous().numpy().tobytes(), (pixels.shape[2], pixels.shape[1])


def _png(pixels: bytes, size: tuple[int, int]) -> str:
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


_shared_png = lru_cache(maxsize=1000)(_png)  # 10 MB of 32 x 32; Gradio keeps what it sends, so keeps a string once


def html(elem_id: str | None = None, template: Path | None = None, constants: dict | None = None, **props) -> gr.HTML:
    """A place for our own markup: what a handler returns, or a static template that its script fills.

    template: without suffix; its .html lies there, and its .js in the folder "script" beside it.

    constants: what the script is told, its events among them: Gradio knows those that stand there.
    """
    if template:
        props["html_template"] = template.with_suffix(".html").read_text(encoding="utf-8")
        props["js_on_load"] = scripts.mount(template.parent / "script" / f"{template.name}.js", constants or {})
    return gr.HTML(apply_default_css=False, elem_id=elem_id, **props)


class Picker(NamedTuple):
    """The left column of Classify and Attention."""

    model: gr.Dropdown
    others: chooser.Chooser
    gallery: gr.HTML
    other: gr.Button
    upload: gr.UploadButton


class ModelList(AsChosen, gr.Dropdown):
    """Whose choices `show` fills in."""


def model_list() -> ModelList:
    """The models to choose from, which `show` fills in."""
    return ModelList(
        [], label="Model", elem_classes="v-model", info="Models that you train appear here when they are done."
    )


def picker() -> Picker:
    """Lays out model choice, gallery and upload."""
    model = model_list()
    others = chooser.build()
    gallery = html(template=HERE / "gallery", constants={"event": "pick"})
    with gr.Row(elem_classes="v-buttons"):
        other = gr.Button("Other pictures", size="md")
        upload = gr.UploadButton("Upload a picture", file_types=["image"], size="md")
    return Picker(model, others, gallery, other, upload)
