"""A visitor's own pictures learned in three ways, one after the other in one turn of the queue.

The head alone and the whole model begin as a trained parent, the third from scratch with the same shape: what few
pictures are worth with pretraining, and without. They are held in memory while it lasts; models keep none of them.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import torch

from vit.data import Splits
from vit.device import device_name, keeping_memory
from vit.evaluation import Evaluation, evaluate
from vit.live import collection, models, runs, taught, worker
from vit.live.history import History
from vit.live.run import Turn, changed
from vit.live.settings import MAX_PARAMETERS
from vit.live.uploads import KEPT
from vit.live.visitors import Visitor
from vit.model import ViT
from vit.training import Progress, TrainConfig, TrainingDiverged, finetune, train
from vit.training.finetune import WAYS

SECONDS = 20.0  # that the whole model learns, and the one from scratch; what the head alone needs is less
MAX_TOKENS = 260  # of a parent: with more, a step on a CPU takes seconds


@dataclass
class Way:
    """One of WAYS. seconds: from its start until it was tested. key: of its model; message: why there is none."""

    name: str
    history: History = field(default_factory=History)
    progress: Progress | None = None
    evaluation: Evaluation | None = None
    seconds: float = 0.0
    key: str = ""
    message: str = ""


@dataclass
class Teaching(Turn):
    """One press of Start. token: of the pictures. parent: key of the model that two of the ways begin from.

    splits: the pictures, until it ends; which is before `until`, by time.time(), when the first of them is to be gone.
    """

    token: str
    parent: str
    ways: list[Way]
    classes: tuple[str, ...]
    splits: Splits | None
    until: float = float("inf")

    def end_if_left(self) -> bool:
        """As others' turns; and what must not be kept any longer ends."""
        if not self.stopping and time.time() >= self.until:
            self.message = "It ended because its pictures are deleted by now; collect them again."
            self.stopping = True
        return super().end_if_left()


def start(token: str, parent: str | None, names: Sequence[str], visitor: Visitor) -> Teaching:
    """Queues it and returns at once. Raises ValueError, naming the remedy, where it can't be or others are before it.

    parent: a model's key, None for the shipped one. names: of WAYS.
    """
    own, key = collection.find(token), parent or default_parent()
    model = check_parent(key)
    splits = own.splits(model.config["img_size"], model.mean, model.std)
    teaching = Teaching(
        token,
        key,
        [Way(name) for name in names],
        splits.train.classes,
        splits,
        until=own.oldest + KEPT,
        address=visitor.address,
    )
    with changed:
        collection.find(token)  # still
        if any(other.live and other.token == token for other in runs.OTHERS.values()):
            raise ValueError("These pictures are being learned already; wait until that ends, or stop it.")
        runs.admit(teaching, runs.OTHERS, visitor)
    threading.Thread(target=_work, args=(teaching,), name=f"teaching-{teaching.id}", daemon=True).start()
    return teaching


def find(teaching_id: str) -> Teaching:
    """It, which then knows that somebody watches. Raises ValueError where there is none any more."""
    if (teaching := runs.OTHERS.get(teaching_id)) is None:
        raise ValueError("This run is not here any more, the server was restarted perhaps; start it again.")
    teaching.watched_at = time.monotonic()
    return teaching


def stop(teaching: Teaching) -> None:
    """Ends it after the step under way; ways that are tested keep their models."""
    with changed:
        teaching.stopping = True
        changed.notify_all()


def forget(token: str) -> None:
    """Deletes a set of pictures, and ends what learns them."""
    with changed:  # nobody begins to learn them meanwhile, having found them just before
        collection.delete(token)
        for teaching in list(runs.OTHERS.values()):
            if teaching.token == token and teaching.live:
                stop(teaching)


def delete_model(key: str, owner: str) -> None:
    """Deletes a model that was taught: links to it lead nowhere then. owner: the secret of the run that learned it.

    Raises ValueError where it is another's, or not here any more.
    """
    if key not in [taught.key_of(owner, way) for way in WAYS]:
        raise ValueError("Only the page or program that taught this model can delete it; delete one of your own.")
    taught.folder(key)
    taught.delete(key)


def default_parent() -> str | None:
    """The first of the shipped models that can be one."""
    return next(iter(parents()), None)


def parents() -> list[str]:
    """Keys of the models that can be one, of those that everybody sees."""
    return list(parent_titles())


def parent_titles() -> dict[str, str]:
    """Of each of the parents: key -> what the page calls it."""
    titles = {key: _title(key) for key in models.shipped()} | {key: _fetched_title(key) for key in models.fetched()}
    return {key: title for key, title in titles.items() if title is not None}


def _title(key: str) -> str | None:
    try:
        check_parent(key)
    except ValueError:
        return None
    return models.title(key, {})


_fetched_title = cache(_title)  # those of the Hub stay as they are, and loading all for each visitor takes seconds


def check_parent(key: str | None) -> ViT:
    """The model. Raises ValueError for one that can't be taught here in a minute."""
    model = models.find_vit(key)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if model.num_tokens > MAX_TOKENS or parameters > MAX_PARAMETERS:
        raise ValueError(
            f"This model has {model.num_tokens:,} tokens a picture and {parameters / 1e6:,.1f} million parameters; to "
            f"be taught here it may have {MAX_TOKENS} and {MAX_PARAMETERS / 1e6:g} million. Choose a smaller one."
        )
    return model


def _work(teaching: Teaching) -> None:
    try:
        runs.await_turn(teaching)
        if not teaching.stopping:
            teaching.status = "running"
            with keeping_memory():
                for way in teaching.ways:
                    _learn(teaching, way, teaching.splits)
        teaching.status = "stopped" if teaching.stopping else "finished"
    except Exception as error:  # out of memory, say: the page must not wait for ever
        teaching.message = f"Learning broke off ({type(error).__name__}: {error}). Try a smaller model."
        teaching.status = "failed"
        raise
    finally:
        teaching.splits = None
        with changed:
            changed.notify_all()


def _learn(teaching: Teaching, way: Way, splits: Splits) -> None:
    began = time.perf_counter()
    model, config = begin(way.name, models.find_vit(teaching.parent), teaching.parent, splits)
    try:
        for progress in _steps(model, config, splits, teaching):
            way.history.add(progress)
            way.progress = progress
    except TrainingDiverged as error:
        way.message = str(error)
        return
    if teaching.stopping:
        way.message = "It was stopped."
        return
    way.evaluation = evaluate(model, splits.test, precision="fp32")
    model.eval().trained |= _told(teaching, way, config)
    key = taught.key_of(teaching.owner, way.name)
    try:
        taught.save(key, model.cpu())
        way.key = key
    except OSError as error:
        way.message = f"Its weights can't be saved on the server ({error.strerror}); try again later."
    way.seconds = time.perf_counter() - began


def begin(name: str, parent: ViT, source: str, splits: Splits) -> tuple[ViT, TrainConfig]:
    """A model at its start, and the settings that it learns with."""
    generator = torch.Generator().manual_seed(0)
    model, settings = finetune.begin(name, parent, splits.train.classes, len(splits.train), generator, source)
    if name != "head":
        settings |= {"epochs": None, "minutes": SECONDS / 60}
    return model.to(worker.device()), TrainConfig(**settings, precision="fp32")


def _steps(model: ViT, config: TrainConfig, splits: Splits, teaching: Teaching) -> Iterator[Progress]:
    """Until the run is over, or is to end."""
    for progress in train(model, splits.train, config, splits.validation):
        yield progress
        if teaching.end_if_left():
            return


def _told(teaching: Teaching, way: Way, config: TrainConfig) -> dict:
    """How the model was trained, as its config and card say it: not with what."""
    assert way.progress and way.evaluation
    return {
        "dataset": collection.NAME,
        "model": models.name(models.find(teaching.parent)),
        "way": WAYS[way.name].lower(),
        "test_accuracy": way.evaluation.accuracy,
        "test_images": way.evaluation.n,
        "epochs": round(way.progress.epoch, 3),
        "steps": way.progress.step,
        "seconds": round(way.progress.elapsed, 1),
        "device": device_name(worker.device()),
        "torch": torch.__version__,
        "config": vars(config),
    }
