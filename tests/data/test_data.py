"""Laws of the data: what CIFAR-10 and Shapes hold, where they come from, and what augmentation leaves alone."""

import functools
import inspect
import io
import pickle
import struct
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from PIL import Image

from vit import data
from vit.data import cifar10 as reader
from vit.data import shapes as drawing
from vit.data.dataset import hold_out

SNAPSHOT = f"datasets--uoft-cs--cifar10/snapshots/{reader.REVISION}/plain_text"


@pytest.fixture(scope="module")
def cifar10() -> data.Splits:
    try:
        return data.load("cifar10")
    except data.DatasetUnavailable as error:
        pytest.skip(f"the real CIFAR-10 is not here: {error}")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory, an empty data folder, an empty Hub cache and an empty cache of decoded pixels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reader, "FOLDER", tmp_path / "data" / "cifar-10-batches-py")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = functools.partial(huggingface_hub.cached_assets_path, assets_dir=tmp_path / "assets")
    monkeypatch.setattr(huggingface_hub, "cached_assets_path", cached)
    return tmp_path


@pytest.fixture
def hub_at(monkeypatch):
    """Makes the Hub be at an address, or nowhere."""

    def place(address: str | None) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", address is None)
        if address:
            template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            monkeypatch.setattr(constants, "ENDPOINT", address)

    return place


def few_images(count: int) -> tuple[torch.Tensor, list[int]]:
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
    return images, [i % 10 for i in range(count)]


def write_parquet(folder, split: str, images: torch.Tensor, labels: list[int]) -> None:
    """A split as the Hub has it: PNG bytes and labels."""
    import pyarrow
    import pyarrow.parquet

    def png(image: torch.Tensor) -> bytes:
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(stream := io.BytesIO(), "PNG")
        return stream.getvalue()

    pictures = [{"bytes": png(image), "path": "x.png"} for image in images]
    folder.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({"img": pictures, "label": labels})
    pyarrow.parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet")


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as the `str` of Python 2, in which CIFAR-10 was pickled."""

    def save_str(self, text: str | bytes) -> None:
        text = text if isinstance(text, bytes) else text.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(text)) + text)

    dispatch = pickle._Pickler.dispatch | {str: save_str, bytes: save_str}


def write_batch(file, images: torch.Tensor, labels: list[int]) -> None:
    """A batch as cifar-10-python.tar.gz has it."""
    batch = {"batch_label": "a batch", "labels": labels, "data": images.flatten(1).numpy(), "filenames": ["x.png"]}
    file.parent.mkdir(parents=True, exist_ok=True)
    Python2Pickler(stream := io.BytesIO(), protocol=2).dump(batch)
    file.write_bytes(stream.getvalue().replace(b"numpy._core", b"numpy.core"))


@pytest.fixture
def small_hub(elsewhere):
    """The Hub's cache with fifty random pictures for training and twenty of them for testing."""
    images, labels = few_images(50)
    write_parquet(elsewhere / "hub" / SNAPSHOT, "train", images, labels)
    write_parquet(elsewhere / "hub" / SNAPSHOT, "test", images[:20], labels[:20])
    return elsewhere


# CIFAR-10


def test_cifar10_holds_the_sixty_thousand_pictures(cifar10):
    assert [len(split) for split in cifar10] == [45_000, 5_000, 10_000]
    assert [split.split for split in cifar10] == ["train", "validation", "test"]
    for split in cifar10:
        assert split.images.shape == (len(split), 3, 32, 32) and split.images.dtype == torch.uint8
        assert split.labels.shape == (len(split),) and split.labels.dtype == torch.int64
        assert split.labels.bincount().tolist() == [len(split) // 10] * 10
    assert cifar10.test.classes[cifar10.test.labels[0]] == "cat"


def test_cifar10_is_normalized_by_its_own_statistics(cifar10):
    pixels = cifar10.train.images[::9].float() / 255
    assert torch.allclose(pixels.mean((0, 2, 3)), torch.tensor(cifar10.train.mean), atol=5e-3)
    assert torch.allclose(pixels.std((0, 2, 3)), torch.tensor(cifar10.train.std), atol=5e-3)


def test_no_validation_picture_is_trained_on(cifar10):
    seen = {image.numpy().tobytes() for image in cifar10.train.images}
    assert not any(image.numpy().tobytes() in seen for image in cifar10.validation.images)


@pytest.mark.benchmark
def test_cifar10_starts_fast_the_second_time(cifar10, judge):
    def seconds() -> float:
        started = time.perf_counter()
        data.load("cifar10")
        return time.perf_counter() - started

    fastest = min(seconds(), seconds())
    judge(fastest < 2, f"loading CIFAR-10 again took {fastest:.1f} s")


def test_the_hub_s_parquet_is_decoded_exactly_and_only_once(small_hub):
    images, labels = few_images(50)
    first = data.load("cifar10", validation_size=0)
    assert first.train.images.equal(images) and first.train.labels.tolist() == labels
    assert first.test.images.equal(images[:20])

    for file in (small_hub / "hub" / SNAPSHOT).iterdir():
        file.unlink()
    assert data.load("cifar10", validation_size=0).train.images.equal(images)


@pytest.mark.parametrize("damage", [b"", b"not a safetensors file", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_damaged_cache_is_replaced(small_hub, damage):
    data.load("cifar10")
    (file,) = (small_hub / "assets").rglob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert data.load("cifar10", validation_size=0).train.images.equal(few_images(50)[0])
    assert file.read_bytes() == whole
    assert list(file.parent.iterdir()) == [file]


def test_loading_goes_on_where_nothing_can_be_cached(small_hub):
    (small_hub / "assets").write_text("a file where the folder should be")
    assert data.load("cifar10", validation_size=0).train.images.equal(few_images(50)[0])


@pytest.mark.parametrize("address", [None, "http://127.0.0.1:9"])
def test_without_network_or_cache_cifar10_says_what_to_do_at_once(elsewhere, hub_at, address, monkeypatch):
    hub_at(address)
    waits: list[float] = []  # of the Hub's client before it tries again
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=waits.append))
    with pytest.raises(data.DatasetUnavailable, match=r"cifar-10-batches-py.*HF_HUB_CACHE.*Shapes"):
        data.load("cifar10")
    assert not waits


def test_cifar10_is_downloaded_from_the_hub_with_progress(elsewhere, hub_at):
    images, labels = few_images(50)
    for split in ("train", "test"):
        write_parquet(elsewhere / "served", split, images, labels)

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            body = (elsewhere / "served" / self.path.rpartition("/")[2]).read_bytes()
            self.send_response(200)
            self.send_header("X-Repo-Commit", reader.REVISION)
            self.send_header("ETag", f'"{self.path[-30:-8]}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    reports = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub_at(f"http://127.0.0.1:{server.server_port}")
        splits = data.load("cifar10", validation_size=0, progress=lambda done, desc: reports.append((done, desc)))
        server.shutdown()
    assert splits.train.images.equal(images)
    assert {desc for _, desc in reports} == {"Downloading CIFAR-10 (train)", "Downloading CIFAR-10 (test)"}
    assert all(0 <= done <= 1 for done, _ in reports) and reports[-1][0] == 1


def test_a_download_that_breaks_off_goes_on_where_it_was(elsewhere, hub_at, monkeypatch):
    images, labels = few_images(50)
    for split in ("train", "test"):
        write_parquet(elsewhere / "served", split, images, labels)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    asked = []

    class Hub(BaseHTTPRequestHandler):
        """Hangs up half way through what it is asked for, twice."""

        def do_GET(self):
            body = (elsewhere / "served" / self.path.rpartition("/")[2]).read_bytes()
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", reader.REVISION)
            self.send_header("ETag", f'"{self.path[-30:-8]}"')
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            if self.command == "GET":
                asked.append(start)
                self.wfile.write(body[start : (start + len(body)) // 2 if len(asked) <= 2 else None])

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub_at(f"http://127.0.0.1:{server.server_port}")
        splits = data.load("cifar10", validation_size=0)
        server.shutdown()
    first, second, third, of_the_test_split = asked
    assert first == of_the_test_split == 0 < second < third
    assert splits.train.images.equal(images)


def test_a_torchvision_folder_is_taken_first(elsewhere):
    images, labels = few_images(60)
    for i in range(5):
        here = slice(i * 10, i * 10 + 10)
        write_batch(reader.FOLDER / f"data_batch_{i + 1}", images[here], labels[here])
    write_batch(reader.FOLDER / "test_batch", images[50:], labels[50:])
    splits = data.load("cifar10", validation_size=10)
    everything = data.load("cifar10", validation_size=0)
    assert [len(split) for split in splits] == [40, 10, 10]
    assert everything.train.images.equal(images[:50]) and everything.train.labels.tolist() == labels[:50]
    assert everything.test.images.equal(images[50:])


class Malicious:
    def __reduce__(self):
        return exec, ("open('executed', 'w')",)


@pytest.mark.parametrize("content", [pickle.dumps({"data": Malicious()}, protocol=2), b"", b"\x80\x02}q"])
def test_a_batch_that_is_no_batch_is_refused_and_never_run(elsewhere, content):
    reader.FOLDER.mkdir(parents=True)
    (reader.FOLDER / "data_batch_1").write_bytes(content)
    with pytest.raises(data.DatasetUnavailable, match=r"data_batch_1 is not a CIFAR-10 batch.*extract"):
        data.load("cifar10")
    assert not (elsewhere / "executed").exists()


# Splitting


def test_the_hold_out_is_balanced_nested_and_the_same_for_ever():
    labels = torch.arange(1000) % 10
    small, _ = hold_out(labels, 50)
    large, kept = hold_out(labels, 105)
    assert labels[small].bincount().tolist() == [5] * 10
    assert labels[large].bincount().max() - labels[large].bincount().min() == 1
    assert set(small.tolist()) <= set(large.tolist())
    assert torch.cat([large, kept]).sort().values.equal(torch.arange(1000))
    assert small[:5].tolist() == [14, 27, 31, 45, 55]


@pytest.mark.parametrize("size", [-1, 50])
def test_a_validation_size_that_leaves_nothing_to_train_on_is_refused(small_hub, size):
    with pytest.raises(ValueError, match=f"validation_size {size}: expected 0 to 49"):
        data.load("cifar10", validation_size=size)


def test_an_unknown_dataset_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"cifar10, shapes, .* got 'mnist'"):
        data.load("mnist")


# Shapes


def test_shapes_are_balanced_and_have_masks(shapes):
    assert [len(split) for split in shapes] == [9_000, 1_000, 2_000]
    for split in shapes:
        assert split.labels.bincount().tolist() == [len(split) // 10] * 10
        assert split.images.shape == (len(split), 3, 32, 32) and split.images.dtype == torch.uint8
        assert split.masks.shape == (len(split), 32, 32) and split.masks.dtype == torch.bool
    pixels = shapes.train.images.float() / 255
    assert torch.allclose(pixels.mean((0, 2, 3)), torch.tensor(shapes.train.mean), atol=5e-3)
    assert torch.allclose(pixels.std((0, 2, 3)), torch.tensor(shapes.train.std), atol=5e-3)


def test_the_same_seed_draws_the_same_shapes():
    draw = inspect.unwrap(drawing.draw)  # without what keeps its answers
    first, again, other = draw(100, 7), draw(100, 7), draw(100, 8)
    assert all(a.equal(b) for a, b in zip(first, again))
    assert not first[0].equal(other[0])


def test_masks_are_where_the_object_is(shapes):
    """Objects are lit and the ground is dark, and no object touches the frame."""
    light = shapes.test.images.float().mean(1)
    inside = (light * shapes.test.masks).sum((1, 2)) / shapes.test.masks.sum((1, 2))
    outside = (light * ~shapes.test.masks).sum((1, 2)) / (~shapes.test.masks).sum((1, 2))
    assert (inside > outside + 30).all()
    frame = torch.ones(32, 32, dtype=torch.bool)
    frame[1:-1, 1:-1] = False
    assert not (shapes.test.masks & frame).any()
    shares = shapes.test.masks.float().mean((1, 2))
    assert shares.min() > 0.05 and shares.max() < 0.5


def test_color_does_not_tell_the_class(shapes):
    """Mean colors of object and ground, the same for all classes within their standard error."""
    masks = shapes.train.masks[:, None]
    for region in (masks, ~masks):
        color = (shapes.train.images * region).sum((2, 3)) / region.sum((2, 3))
        means = torch.stack([color[shapes.train.labels == c].mean(0) for c in range(10)])
        assert (means - means.mean(0)).abs().max() < 10  # of 255; one picture's color varies by about 45


def test_shapes_are_more_than_a_linear_classifier_can_tell(shapes):
    flat = {s.split: data.normalize(s.images, s.mean, s.std).flatten(1) for s in shapes}
    linear = torch.nn.Linear(3 * 32 * 32, 10)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=30, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(linear(flat["train"]), shapes.train.labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    accuracy = (linear(flat["test"]).argmax(1) == shapes.test.labels).float().mean()
    assert 0.4 < accuracy < 0.6  # it learned what it could, and that is not enough


# Augmentation and batches


@pytest.fixture
def images() -> torch.Tensor:
    return few_images(16)[0]


def test_flipping_twice_is_the_identity(images):
    flips = torch.arange(16) % 2 == 0
    flipped = data.random_flip(images, flips)
    assert flipped[flips].equal(images[flips].flip(3)) and flipped[~flips].equal(images[~flips])
    assert data.random_flip(flipped, flips).equal(images)


@pytest.mark.parametrize("padding", [0, 1, 4])
def test_cropping_at_the_padding_is_the_identity(images, padding):
    cropped = data.random_crop(images, torch.full((16, 2), padding), padding)
    assert cropped.equal(images) and cropped.dtype == torch.uint8


def test_cropping_is_padding_by_reflection_and_cutting_out(images):
    offsets = torch.randint(9, (16, 2), generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4), mode="reflect")
    expected = torch.stack([p[:, y : y + 32, x : x + 32] for p, (y, x) in zip(padded, offsets.tolist())])
    assert data.random_crop(images, offsets, 4).equal(expected)


def test_an_epoch_shows_every_picture_once(shapes):
    numbered = shapes.validation.take(slice(0, 96))
    numbered = replace(numbered, labels=torch.arange(96))
    seen = list(data.batches(numbered, 32, seed=0, epoch=0, crop=0, flip=False))
    assert torch.cat([labels for _, labels in seen]).sort().values.equal(torch.arange(96))
    assert all(images.equal(numbered.images[labels]) for images, labels in seen)
    assert len(list(data.batches(numbered, 36, seed=0, epoch=0))) == 2  # 24 are left over


def same(first, second) -> bool:
    return all(a.equal(c) and b.equal(d) for (a, b), (c, d) in zip(first, second, strict=True))


def test_seed_and_epoch_decide_the_batches(shapes):
    def epoch(seed: int, epoch: int) -> list:
        return list(data.batches(shapes.validation, 100, seed=seed, epoch=epoch))

    assert same(epoch(0, 1), epoch(0, 1))
    assert not same(epoch(0, 1), epoch(0, 2))
    assert not same(epoch(0, 1), epoch(1, 0))


def test_resuming_at_a_batch_equals_skipping_to_it(shapes):
    whole = list(data.batches(shapes.validation, 100, seed=3, epoch=2))
    assert same(data.batches(shapes.validation, 100, seed=3, epoch=2, start=4), whole[4:])


@pytest.mark.parametrize("batch_size", [0, 1_001])
def test_a_batch_that_cannot_be_filled_is_refused(shapes, batch_size):
    with pytest.raises(ValueError, match=f"batch_size {batch_size}: expected 1 to 1000"):
        data.batches(shapes.validation, batch_size, seed=0, epoch=0)


def test_denormalizing_undoes_normalizing(images):
    normalized = data.normalize(images, reader.MEAN, reader.STD)
    assert normalized.dtype == torch.float32
    assert data.denormalize(normalized, reader.MEAN, reader.STD).equal(images)


def test_a_dataset_is_taken_apart_with_its_masks(shapes):
    taken = shapes.test.take(torch.tensor([5, 3]))
    assert len(taken) == 2 and taken.classes == shapes.test.classes
    assert taken.images[1].equal(shapes.test.images[3]) and taken.masks[1].equal(shapes.test.masks[3])
    assert taken.to("meta").masks.device.type == "meta"
