"""Damaged checkpoints and damaged runs: named in the log, left out, and everything else works."""

import asyncio
import json
import logging
import os
import struct
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from safetensors.torch import load_file, save_file

from vit import CNN
from vit.live import datasets, models, runs, storage
from vit.live.run import LiveRun
from vit.ui import analysis, errors, page
from vit.ui.train import outcome
from vit.ui.train import view as train_view
from vit.ui.visit import Visit
from vit.weights.checkpoint import CheckpointError, from_pretrained

NAN, INF = float("nan"), float("inf")
pytestmark = pytest.mark.usefixtures("here")

HTML = '<img src="http://127.0.0.1:9/stolen">'


def config(*path, **changes):
    """Damage: other values in config.json, in the object that path leads to; ... takes a key away."""

    def change(folder):
        whole = json.loads((folder / "config.json").read_text())
        part = whole
        for key in path:
            part = part[key]
        part.update(changes)
        for key in [key for key, value in changes.items() if value is ...]:
            del part[key]
        (folder / "config.json").write_text(json.dumps(whole))

    return change


def text(content: str | bytes):
    return lambda folder: (folder / "config.json").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def weights(change):
    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return damage


def raw(change, name="model.safetensors"):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def lying(content: bytes) -> bytes:
    """The header says that the first tensor ends far behind the file."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    next(value for key, value in header.items() if key != "__metadata__")["data_offsets"][1] = 2**50
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + content[8 + length :]


def folder_in_place_of(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def link_to_itself(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(folder / name)

    return damage


DAMAGED = {
    "no JSON": text("{"),
    "empty config": text(""),
    "config of bytes": raw(lambda content: b"\xff\xfe\x00", "config.json"),
    "a list": text("[]"),
    "deep": text("[" * 100_000),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "a folder as config": folder_in_place_of("config.json"),
    "a link to itself as config": link_to_itself("config.json"),
    **{f"no {key}": config(**{key: ...}) for key in ("arguments", "classes", "mean", "std", "trained")},
    "no num_heads": config("arguments", num_heads=...),
    "unknown argument": config("arguments", wings=2),
    "arguments a list": config(arguments=[]),
    "depth a word": config("arguments", depth="3"),
    "depth endless": config("arguments", depth=10**12),
    "width endless": config("arguments", embed_dim=3 * 10**15),
    "patches of nothing": config("arguments", patch_size=0),
    "heads 0": config("arguments", num_heads=0),
    "mlp_ratio NaN": config("arguments", mlp_ratio=NAN),
    "eps negative": config("arguments", norm_eps=-1e9),
    "other shapes": config("arguments", embed_dim=48),
    "one channel": config("arguments", in_chans=1),
    "mean a word": config(mean=["a"]),
    "mean words": config(mean=["a", "b", "c"]),
    "mean NaN": config(mean=[NAN] * 3),
    "mean no list": config(mean=NAN),
    "mean short": config(mean=[0.5]),
    "mean endless": text('{"mean": [1e999, 0, 0]}'),
    "mean true": config(mean=[True] * 3),
    "std 0": config(std=[0.0, 0.5, 0.5]),
    "std tiny": config(std=[1e-290] * 3),
    "std negative": config(std=[-0.5] * 3),
    "std infinite": config(std=[INF] * 3),
    "classes a word": config(classes="abcdefghij"),
    "classes numbers": config(classes=list(range(10))),
    "classes few": config(classes=["one"]),
    "classes null": config(classes=None),
    "trained a list": config(trained=[]),
    "model a number": config("trained", model=5),
    "accuracy a word": config("trained", test_accuracy="high"),
    "accuracy NaN": config("trained", validation_accuracy=NAN),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "a folder as weights": folder_in_place_of("model.safetensors"),
    "empty weights": raw(lambda content: b""),
    "truncated weights": raw(lambda content: content[: len(content) // 2]),
    "truncated header": raw(lambda content: content[:100]),
    "garbage": raw(lambda content: os.urandom(len(content))),
    "lying header": raw(lying),
    "huge header": raw(lambda content: struct.pack("<Q", 2**62) + content[8:]),
    "a missing tensor": weights(lambda w: w.pop("cls_token")),
    "one tensor more": weights(lambda w: w.update({HTML: torch.ones(1)})),
    "another shape": weights(lambda w: w.update({"head.bias": torch.ones(3)})),
    "whole numbers": weights(lambda w: w.update({"head.bias": torch.ones(10, dtype=torch.int64)})),
    "NaN weights": weights(lambda w: w["head.bias"].fill_(NAN)),
    "infinite weights": weights(lambda w: w["pos_embed"][0, 3].fill_(-INF)),
    "float64 that overflows": weights(lambda w: w.update({"norm.bias": torch.full((24,), 1e200, dtype=torch.float64)})),
    "finite weights that overflow": weights(lambda w: [w[name].fill_(3e38) for name in ("head.weight", "norm.bias")]),
}


@pytest.fixture(scope="module")
def laid_out() -> page.Page:
    """The page's components and handlers, served to nobody."""
    with gr.Blocks():
        return page.lay_out()


@pytest.fixture
def visit(laid_out):
    """What the handler of a page load fills in: the components' names and values."""
    classifying = laid_out.classifying

    def opened(owned: dict | None = None, **query) -> dict:
        here = Visit()
        values = laid_out.open(owned or {}, here, SimpleNamespace(query_params=query))
        assert values.keys() >= set(laid_out.model_views), "a tab that was never opened is given all that it shows"
        return {
            "model": values[classifying.model],
            "gallery": values[classifying.gallery],
            "prediction": values[laid_out.classifying.result],
            "attention": values[laid_out.attending.view],
            "status": values[laid_out.status],
            "run_names": here.run_names,
        }

    return opened


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_checkpoint_is_named_once_and_left_out_and_the_intact_one_steps_in(name, caplog):
    damaged = models.CHECKPOINTS / "cifar10"
    DAMAGED[name](damaged)
    if name != "one channel":
        with pytest.raises(CheckpointError) as error:
            from_pretrained(damaged)
        assert len(str(error.value)) < 2000
    with caplog.at_level(logging.WARNING):
        assert models.shipped() == ["shapes"] == models.shipped()
    assert len(caplog.records) == 1
    line = caplog.records[0].getMessage()
    assert str(damaged) in line and "\n" not in line
    assert models.default() == "shapes"
    assert not models.available("cifar10")
    with pytest.raises(ValueError, match="No model is called 'cifar10'; choose shapes"):
        models.find("cifar10")


@pytest.mark.parametrize("name", ["truncated weights", "mean a word", "other shapes", "finite weights that overflow"])
def test_the_page_opens_beside_a_damaged_checkpoint(name, visit):
    DAMAGED[name](models.CHECKPOINTS / "cifar10")
    for query in ({}, {"model": "cifar10"}):
        opened = visit(**query)
        assert opened["model"].value == "shapes"
        assert all(0 <= share <= 1 for _, share, _ in opened["prediction"]["bars"])


def test_a_checkpoint_that_is_damaged_or_mended_meanwhile_is_noticed():
    file = models.CHECKPOINTS / "cifar10" / "model.safetensors"
    whole = file.read_bytes()
    assert models.shipped() == ["cifar10", "shapes"]
    file.write_bytes(whole[:-9])
    assert models.shipped() == ["shapes"]
    file.write_bytes(whole)
    assert models.shipped() == ["cifar10", "shapes"]


def test_with_nothing_but_damaged_checkpoints_the_page_opens_without_a_model(visit):
    for name in ("cifar10", "shapes"):
        DAMAGED["truncated weights"](models.CHECKPOINTS / name)
    opened = visit()
    assert opened["model"].value is None and opened["prediction"] == {"message": models.ADVICE}


def test_loading_a_checkpoint_draws_no_random_numbers():
    before = torch.random.get_rng_state()
    from_pretrained(models.CHECKPOINTS / "shapes")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_overflows_on_a_picture_alone_never_becomes_a_probability(monkeypatch, small_vit):
    monkeypatch.setattr(models, "find", lambda key: small_vit)
    with torch.no_grad():
        small_vit.head.bias[3] = NAN
    with pytest.raises(errors.BadInput, match="overflow on this picture"):
        analysis.analyze("any", ("shapes", 0))


# --- runs -------------------------------------------------------------------------------------------------------------


def on_disk(run: LiveRun):
    return storage.FOLDER / run.id


def record(*path, **changes):
    def damage(folder):
        whole = json.loads((folder / storage.RECORD).read_text())
        part = whole
        for key in path:
            part = part[key]
        part.update(changes)
        (folder / storage.RECORD).write_text(json.dumps(whole))

    return damage


RECORDS = {
    "empty": raw(lambda content: b"", storage.RECORD),
    "truncated": raw(lambda content: content[: len(content) // 2], storage.RECORD),
    "garbage": raw(lambda content: b"\xff\x00\xfe", storage.RECORD),
    "a list": raw(lambda content: b"[]", storage.RECORD),
    "no keys": raw(lambda content: b"{}", storage.RECORD),
    "gone": lambda folder: (folder / storage.RECORD).unlink(),
    "a folder": folder_in_place_of(storage.RECORD),
    "another dataset": record(dataset=HTML),
    "another variant": record(variant="vit_huge"),
    "classes numbers": record(classes=[1, 2]),
    "classes of elsewhere": record(classes=["heart", HTML]),
    "a shape of nothing": record(shape={"wings": 2}),
    "still running": record(status="running"),
    "message a number": record(message=5),
    "config null": record(config=None),
    "no minutes": record("config", minutes=None, epochs=1),
    "a rate of nothing": record("config", lr=-1),
    "progress null": record(progress=None),
    "progress NaN": record("progress", elapsed=NAN),
    "a step of a word": record("progress", step="three"),
    "history a list": record(history=[]),
    "history short": record("history", loss=[1.0]),
    "history empty": record("history", **{name: [] for name in ("seconds", "loss", "accuracy", "lr")}),
    "rate NaN": record("history", lr=[1e-3, NAN, 1e-3]),
    "rate endless": record("history", lr=[1e-3, 1e300, 1e-3]),
    "loss negative": record("history", loss=[1.0, -1.0, 1.0]),
    "loss less than everything": record("history", loss=[1.0, -INF, 1.0]),
    "no time": record("history", seconds=[0.0, 0.0, 0.0]),
    "confusion of words": record("evaluation", confusion="none"),
    "confusion small": record("evaluation", confusion=[[1]]),
    "accuracy infinite": record("evaluation", accuracy=INF),
}


@pytest.fixture
def watched(laid_out):
    """The Train tab, and a function of all that it shows of a run until that ends."""
    tab = laid_out.training

    def views(run_id: str, owned: dict) -> list[dict]:
        async def all_of_it():
            return [shown async for shown in tab.watch(run_id, owned)]

        return asyncio.run(asyncio.wait_for(all_of_it(), 60))

    return tab, views


@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_run_is_said_to_be_so_and_named_once_in_the_log(name, ended, caplog, watched):
    RECORDS[name](on_disk(ended))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(storage.DamagedRun, match="damaged; start a new one"):
                runs.find(ended.id)
    assert [ended.id in line.getMessage() for line in caplog.records] == [True]
    assert not models.ended(ended.id) and ended.id not in runs.RUNS
    tab, views = watched
    [shown] = views(ended.id, {ended.id: ended.owner})
    assert "This run can&#x27;t be read" in shown[tab.progress] and shown.keys() <= set(tab.views)
    with pytest.raises(errors.BadInput, match="damaged"):
        outcome.archive(ended.id)


DIVERGED = {
    "validation NaN": (record("history", validation_loss=[2.1, 2.0, NAN]), True),
    "validation endless": (record("history", validation_loss=[2.1, 2.0, INF]), True),
    "test NaN": (record("evaluation", loss=NAN), True),
    "all at once": (lambda folder: [damage(folder) for damage, _ in [*DIVERGED.values()][:3]], True),
    "a training loss NaN on the way": (record("history", loss=[1.0, NAN, 1.0]), False),
    "a training loss beyond measure": (record("history", loss=[1.0, 1e300, 1.0]), False),
}


@pytest.mark.parametrize("name", DIVERGED)
def test_a_run_that_diverged_is_not_damaged_and_says_so(name, ended, watched):
    change, said = DIVERGED[name]
    change(on_disk(ended))
    run = runs.find(ended.id)
    assert models.ended(ended.id) and ("it diverged. Try a lower learning rate" in run.message) == said
    tab, views = watched
    shown = views(ended.id, {ended.id: ended.owner})[-1]
    assert ("it diverged" in shown[tab.progress]) == said and "can&#x27;t be read" not in shown[tab.progress]
    assert "nan" not in shown[tab.charts].lower() and "polyline" in shown[tab.charts]


@pytest.mark.parametrize("name", ["truncated", "history short", "rate NaN"])
def test_the_page_opens_for_the_owner_and_the_link_of_a_damaged_run(name, ended, visit):
    RECORDS[name](on_disk(ended))
    for owned, query in (({ended.id: ended.owner}, {}), ({}, {"run": ended.id}), ({}, {"model": ended.id})):
        opened = visit(owned, **query)
        assert opened["model"].value == models.default() and opened["run_names"] == {}
        assert len(opened["prediction"]["bars"]) == 10


@pytest.mark.parametrize("name", ["truncated weights", "mean NaN", "NaN weights", "no weights", "no JSON"])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_run_whose_weights_are_damaged_shows_its_curves_and_offers_no_model(name, restarted, ended, visit, watched):
    if not restarted:
        ended.model = None
        runs.RUNS[ended.id] = ended
    DAMAGED[name](on_disk(ended))
    for owned, query in (({ended.id: ended.owner}, {}), ({}, {"run": ended.id}), ({}, {"model": ended.id})):
        opened = visit(owned, **query)
        assert opened["model"].value == models.default() and opened["run_names"] == {}
    tab, views = watched
    shown = views(ended.id, {ended.id: ended.owner})[-1]
    assert "can&#x27;t be read" in shown[tab.progress] and "polyline" in shown[tab.charts]
    with pytest.raises(ValueError, match="weights of this run were damaged"):
        models.find(ended.id)
    with pytest.raises(errors.BadInput, match="nothing to download"):
        outcome.archive(ended.id)


def moments(change):
    """Damage: other tensors or another description in the file of moments."""

    def damage(folder):
        from vit.weights.checkpoint import read_tensors, write_tensors

        tensors, metadata = read_tensors(folder / storage.MOMENTS)
        about = json.loads(metadata["moments"])
        change(tensors, about)
        write_tensors(tensors, folder / storage.MOMENTS, {"moments": json.dumps(about)})

    return damage


ALBUMS = {
    "garbage": raw(lambda content: b"damaged", storage.MOMENTS),
    "truncated": raw(lambda content: content[:-9], storage.MOMENTS),
    "a folder": folder_in_place_of(storage.MOMENTS),
    "not described": lambda folder: save_file({"0": torch.ones(1)}, folder / storage.MOMENTS),
    "fewer bytes": moments(lambda tensors, about: tensors.update({"0": tensors["0"][:5].clone()})),
    "no tensor": moments(lambda tensors, about: about.update({"7": about["0"]})),
    "no figures": moments(lambda tensors, about: about["0"].pop("figures")),
    "step NaN": moments(lambda tensors, about: about["0"]["figures"].update(step=NAN)),
    "a rate of words": moments(lambda tensors, about: about["0"]["figures"].update(lr="fast")),
    "no maps": moments(lambda tensors, about: about["0"]["shapes"].pop("maps")),
    "negative shapes": moments(lambda tensors, about: about["0"]["shapes"].update(probabilities=[-6, -10])),
    "described by a list": moments(lambda tensors, about: about.update({"0": []})),
}


def test_an_intact_album_is_read(ended):
    assert runs.find(ended.id).album.moments == ended.album.moments


@pytest.mark.parametrize("name", ALBUMS)
def test_a_run_can_do_without_its_moments(name, ended, caplog):
    ALBUMS[name](on_disk(ended))
    with caplog.at_level(logging.WARNING):
        found = runs.find(ended.id)
    assert found.usable and not found.album.moments
    assert [storage.MOMENTS in line.getMessage() for line in caplog.records] == [True]
    assert "Classify with it" in train_view.panel(found)


def test_damaged_runs_do_not_stay_on_disk_for_ever(ended, monkeypatch, small_vit):
    RECORDS["gone"](on_disk(ended))
    monkeypatch.setattr(storage, "KEEP_ON_DISK", 1)
    os.utime(on_disk(ended), (1, 1))
    storage.save("a" * 16, small_vit, {}, ended.album)
    assert [path.name for path in storage.FOLDER.iterdir()] == ["a" * 16]


# --- a real server ----------------------------------------------------------------------------------------------------


def test_a_program_works_beside_a_damaged_checkpoint_and_a_damaged_run(ended, monkeypatch, tmp_path):
    DAMAGED["mean NaN"](models.CHECKPOINTS / "cifar10")
    RECORDS["truncated"](on_disk(ended))
    monkeypatch.setattr(datasets, "load_in_background", lambda then: None)
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    demo = page.build()
    _, url, _ = page.launch(demo, prevent_thread_lock=True, quiet=True)
    try:
        client, picture = Client(url, verbose=False), handle_file(tmp_path / "red.png")
        assert client.predict(api_name="/about")["models"] == ["shapes"]
        said = client.predict(picture, "", api_name="/classify")["confidences"]
        assert sum(entry["confidence"] for entry in said) == pytest.approx(1, abs=1e-4)
        with pytest.raises(AppError, match="damaged; start a new one"):
            client.predict(ended.id, api_name="/status")
        with pytest.raises(AppError, match="&lt;img"):
            client.predict(picture, HTML, api_name="/classify")
    finally:
        demo.close()


# --- words from outside -----------------------------------------------------------------------------------------------


def test_whatever_a_notice_is_given_it_shows_as_text(monkeypatch):
    shown = []
    monkeypatch.setattr(gr, "Warning", shown.append)
    errors.warn(f"No {HTML} & 'none'")
    shown += [errors.BadInput(ValueError(f"No {HTML} & 'none'")).message, errors.alert(f"No {HTML} & 'none'")]
    for text in shown:
        assert "<img" not in text
        assert "No &lt;img src=\"http://127.0.0.1:9/stolen\"&gt; &amp; 'none'" in text
    assert errors.BadInput(HTML).sentence == HTML


def test_no_file_but_one_makes_notices_of_its_own():
    code = {file.name: file.read_text() for file in page.HERE.rglob("*.py")}
    for call in ("gr.Warning(", "gr.Info(", "raise gr.Error", 'role="alert"'):
        assert [name for name in code if call in code[name]] in (["errors.py"], [])


def test_a_checkpoint_whose_names_are_html_is_shown_as_text(visit):
    folder = models.CHECKPOINTS / "cifar10"
    config(classes=[f"{HTML}{i}" for i in range(10)])(folder)
    config("trained", model=HTML)(folder)
    folder.rename(folder.with_name("a<b>&"))
    opened = visit(model="a<b>&")
    assert opened["model"].value == "a<b>&"
    assert "&lt;img" in opened["status"] and '<img src="http' not in opened["status"]
    assert {name[:4] for name, *_ in opened["prediction"]["bars"]} == {HTML[:4]}  # the script puts it there as text


def test_a_model_without_attention_classifies_and_the_attention_tab_says_what_it_is(here, tmp_path, shapes):
    cnn = CNN(width=8)
    cnn.classes, cnn.trained = shapes.test.classes, {"dataset": "shapes", "model": "cnn"}
    cnn.save_pretrained(tmp_path / "checkpoints" / "shapes")
    assert ("cnn · Shapes · no attention", "shapes") in models.choices({})
    with gr.Blocks():
        laid_out = page.lay_out()
        said = laid_out.draw("shapes", ("shapes", 3), Visit())[laid_out.classifying.result]
        assert len(said["bars"]) == 10 and said["looks"] is None
        assert laid_out.attend("shapes", ("shapes", 3)) == {"message": models.NO_ATTENTION}
    with pytest.raises(errors.BadInput, match="no attention to look into; choose another"):
        analysis.analyze("shapes", ("shapes", 3))
