"""What a model says of its whole test set: computed in the background, one model at a time, kept for all who ask.

It goes on while somebody asks how far it is, and stops soon after nobody does; whoever asks again goes on from there.
"""

import threading
import time
from collections import OrderedDict

import torch
from torch import Tensor

from vit.data import Dataset, DatasetUnavailable
from vit.data.pictures import fit
from vit.interpret.trace import evaluating
from vit.live import models
from vit.live.datasets import SOURCES, reason
from vit.model import Classifier

BATCH = 50  # images: what a visitor who cancels still waits for
UNWATCHED = 5.0  # seconds
LONGEST = 1800.0  # seconds that one question waits
KEPT = 12  # models' answers: 0.5 MB each with ten classes and 10,000 pictures

_turn = threading.Lock()  # held by whoever computes
_kept: OrderedDict[str, "Answers"] = OrderedDict()
_lock = threading.Lock()  # of the above, and of each one's thread


class Answers:
    """logits: (n, classes), float32, the first `done` of them known. indices: (n,) of the pictures in their test split.

    test: the pictures of the model's classes. error: why it broke off, which may be gone when it is asked again.
    """

    def __init__(self, model: Classifier):
        self.model = model
        self.test, self.indices = test_of(model)
        self.logits = torch.zeros(len(self.test), len(model.classes))
        self.done = 0
        self.error = ""
        self.watched_at = 0.0
        self._thread: threading.Thread | None = None

    @property
    def complete(self) -> bool:
        return self.done == len(self.test)

    @property
    def probabilities(self) -> Tensor:
        """(done, classes), by the model's temperature."""
        return self.model.probabilities(self.logits[: self.done])

    @property
    def classes(self) -> Tensor:
        """(done,): the likeliest one's index."""
        return self.logits[: self.done].argmax(1)

    def surest(self, those: Tensor) -> Tensor:
        """Places of those, bool (done,), for which it holds, the surest answer first."""
        places, sure = those.nonzero()[:, 0], self.probabilities.amax(1)
        return places[sure[places].argsort(descending=True, stable=True)]

    def watch(self) -> None:
        """Has them computed for as long as this is called at least every UNWATCHED seconds."""
        self.watched_at = time.monotonic()
        with _lock:
            if not self.complete and (self._thread is None or not self._thread.is_alive()):
                self.error = ""
                self._thread = threading.Thread(target=self._compute, name="answers", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until they are complete. Raises ValueError where they can't be, or not within LONGEST."""
        until = time.monotonic() + LONGEST
        while not self.complete:
            if time.monotonic() > until:
                raise ValueError(
                    f"After {LONGEST / 60:g} minutes {self.done:,} of {len(self.test):,} pictures are answered; ask "
                    "again, and it goes on from there, or choose a smaller model."
                )
            self.watch()
            assert self._thread
            self._thread.join(UNWATCHED / 2)
            if self.error:
                raise ValueError(self.error)

    def _compute(self) -> None:
        while not _turn.acquire(timeout=0.5):
            if self._left:
                return
        try:
            with torch.inference_mode(), evaluating(self.model):
                while not self.complete and not self._left:
                    self._answer_next()
        except RuntimeError as error:  # out of memory, say
            self.error = f"The model could not be run ({error}); try again, or choose a smaller one."
        finally:
            _turn.release()

    @property
    def _left(self) -> bool:
        return time.monotonic() - self.watched_at > UNWATCHED

    def _answer_next(self) -> None:
        batch = slice(self.done, self.done + BATCH)
        images, _ = fit(self.test.images[batch], None, self.model.config["img_size"])
        self.logits[batch] = self.model(self.model.normalize(images)).float()
        self.done = min(batch.stop, len(self.test))


def ask(key: str | None) -> Answers:
    """Those of a checkpoint or a run as it is now, however much is known; computes nothing. Raises ValueError."""
    model = models.named(models.find(key))
    assert key
    kept = _kept.get(key)
    if kept is None or not _same(kept.model, model):
        kept = Answers(model)  # not under the lock: its data may be on their way, and others' are here
    with _lock:
        there = _kept.get(key)
        kept = _kept[key] = there if there and _same(there.model, model) else kept
        _kept.move_to_end(key)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return kept


def test_of(model: Classifier) -> tuple[Dataset, Tensor]:
    """The test pictures of the model's classes, labeled as it does, and where they are in the whole test split.

    Raises ValueError where no dataset here has its classes.
    """
    name = models.dataset(model)
    try:
        test = (SOURCES[name].splits or SOURCES[name].load()).test
    except DatasetUnavailable as error:
        label = SOURCES[name].label
        raise ValueError(
            f"{label}'s test pictures can't be had here ({reason(error)}); choose another model."
        ) from error
    if missing := set(model.classes) - set(test.classes):
        raise ValueError(
            f"No dataset here has this model's class {min(missing)!r}, so there is nothing to measure it on; choose a "
            f"model of {', '.join(SOURCES)}."
        )
    if model.classes == test.classes:
        return test, torch.arange(len(test))
    renamed = torch.tensor([model.classes.index(c) if c in model.classes else -1 for c in test.classes])
    labels = renamed[test.labels]
    indices = (labels >= 0).nonzero()[:, 0]
    part = test.take(indices)
    return Dataset(name, "test", part.images, labels[indices], model.classes, test.mean, test.std, part.masks), indices


def _same(one: Classifier, other: Classifier) -> bool:
    """Whether it is the same model, be it loaded anew."""
    if one is other:
        return True
    a, b = one.state_dict(), other.state_dict()
    alike = one.classes == other.classes and one.temperature == other.temperature and a.keys() == b.keys()
    return alike and all(a[name].shape == b[name].shape and torch.equal(a[name], b[name]) for name in a)
