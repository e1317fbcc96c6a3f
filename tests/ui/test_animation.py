"""The GIF of attention as it formed: its frames are the moments, its colors those of the page, and it stays small."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vit.training.moments import Moment, figures, probe, take
from vit.ui.errors import BadInput
from vit.ui.train import outcome
from vit.ui.train import view as train_view
from vit.ui.train.animation import CELL, FRAMES, GAP, LINE, animation


@pytest.fixture
def moments(small_vit, shapes):
    """Four, in which ever larger weights make attention ever sharper."""
    taken, whole = [], {name: value.clone() for name, value in small_vit.state_dict().items()}
    for i in range(4):
        small_vit.load_state_dict({name: value * (i + 1) / 4 for name, value in whole.items()})
        snapshot = take(small_vit, probe(shapes.validation))
        taken.append(Moment(i, snapshot, {**figures(), "step": i, "validation": 0.5}))
    return taken


@pytest.fixture
def pictures(shapes):
    return probe(shapes.validation).images.permute(0, 2, 3, 1).numpy()


def test_a_frame_has_all_pictures_and_heads(moments, pictures):
    gif = animation(moments, pictures, 1, 65, "vit learns Shapes, layer 2")
    image = Image.open(io.BytesIO(gif))
    assert len(moments) < image.n_frames <= FRAMES and len(gif) < 3_000_000  # of equal frames one is left
    assert image.size == (6 * (CELL + GAP) + GAP, 4 * (CELL + GAP) + GAP + 2 * LINE)


def test_more_than_an_even_share_is_red_and_less_is_blue(moments, pictures):
    moments = moments[2:]  # whose attention is far from even
    image = Image.open(io.BytesIO(animation(moments, pictures, 0, 65, ""))).convert("RGB")
    shape = moments[0].snapshot.shapes["maps"]
    weights = np.frombuffer(moments[0].snapshot.data, np.uint8, np.prod(shape)).reshape(shape)[0, 0, 0]
    h, w = weights.shape
    for at, warm in ((weights.argmax(), True), (weights.argmin(), False)):
        row, column = divmod(int(at), w)
        x, y = GAP + (column + 0.5) * CELL / w, 2 * LINE + CELL + GAP + (row + 0.5) * CELL / h
        red, _, blue = image.getpixel((int(x), int(y)))
        assert (red > blue) == warm


def test_one_moment_or_a_layer_that_is_not_there_is_refused_in_words(moments, pictures):
    with pytest.raises(BadInput, match="fewer than two moments"):
        animation(moments[:1], pictures, 0, 65, "")
    with pytest.raises(BadInput, match="layers 1 to 3, got 8"):
        animation(moments, pictures, 7, 65, "")


def test_what_programs_ask_of_two_layers_lies_in_two_files(monkeypatch):
    monkeypatch.setattr(train_view, "gif_of", lambda key, layer: f"layer {layer}".encode())
    paths = [Path(outcome.draw_animation("shapes", layer)) for layer in (1.0, 2.0)]
    assert [path.read_bytes() for path in paths] == [b"layer 1", b"layer 2"]
