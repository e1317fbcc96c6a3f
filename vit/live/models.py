"""The models a visitor can choose: the app's own, the runs that this page trained, and those from elsewhere."""

from reprlib import repr as short

from vit.data.registry import DATASETS, fallback, label, preferred
from vit.environment import ROOT
from vit.live import elsewhere, runs, storage, stored, taught
from vit.live.datasets import SOURCES
from vit.model import Classifier, ViT
from vit.training.moments import Album
from vit.weights.checkpoint import CONFIG, WEIGHTS
from vit.weights.families import imagenet_classes

CHECKPOINTS = ROOT / "checkpoints"
HEADLESS = (
    "This model has no class head: it names nothing. Look at its attention, or choose a model that learned classes."
)
NO_ATTENTION = "This model is made of convolutions: it has no attention to look into; choose another model."
OWN, ANOTHERS = "Your run", "Another's run"
ADVICE = f"There is no model yet. Train one: a minute on {fallback().label} is enough."

RunNames = dict[str, str]  # models that a page can choose beside the shipped: key -> what it calls them


def shipped() -> list[str]:
    """Names of the checkpoints that can be read, the preferred dataset's first; before them what the app was given."""
    names = sorted(filter(_shipped, _folders()), key=lambda n: (n != preferred().name, n))
    return [*elsewhere.GIVEN, *(name for name in names if name not in elsewhere.GIVEN)]


def fetched() -> list[str]:
    """Keys of the well-known models of the Hub that are on this server."""
    return [known.repository for known in elsewhere.KNOWN if elsewhere.available(known.repository)]


def default() -> str | None:
    """The model that the app was given, else the first checkpoint whose dataset is at hand, else the first at all.

    A built-in dataset is at hand even while it is being loaded.
    """

    def ready(name: str) -> bool:
        source = dataset(find(name))
        return name in elsewhere.GIVEN or DATASETS[source].built_in or SOURCES[source].splits is not None

    names = shipped()
    return next(filter(ready, names), names[0] if names else None)


def find(key: str | None) -> Classifier:
    """The model of a checkpoint's name, of "owner/name" if it was fetched, or of a run's id, on the CPU.

    Raises ValueError, naming the remedy.
    """
    if not key:
        raise ValueError(ADVICE)
    if elsewhere.belongs(key):
        return elsewhere.load(key)
    if taught.belongs(key):
        return taught.load(key)
    if _shipped(key):
        return stored.load(CHECKPOINTS / key)
    try:
        run = runs.find(key)
    except storage.DamagedRun:
        raise
    except ValueError as error:
        message = f"No model is called {short(key)}; choose {', '.join(shipped())} or the id of a run still kept."
        raise ValueError(message) from error
    if run.live:
        raise ValueError("This model is still being trained; wait until the run ends, or stop it.")
    if run.model is not None:
        return run.model
    if run.damaged:
        raise ValueError("The weights of this run were damaged on the server's disk; choose another model.")
    if (folder := storage.folder(key)) is None:
        raise ValueError("This run ended before there was a model; start another.")
    return stored.load(folder)


def find_vit(key: str | None) -> ViT:
    """As find, of a model to look into. Raises ValueError for one without attention, too."""
    model = find(key)
    if not isinstance(model, ViT):
        raise ValueError(NO_ATTENTION)
    return model


def available(key: str) -> bool:
    """Whether there is a finished model of that name or run's id."""
    return elsewhere.available(key) or taught.available(key) or _shipped(key) or ended(key)


def named(model: Classifier) -> Classifier:
    """The model. Raises ValueError for one without a class head, of which no class can be asked."""
    if headless(model):
        raise ValueError(HEADLESS)
    return model


def headless(model: Classifier) -> bool:
    """Whether it has no class head, as DINO: it has maps and names nothing."""
    return not model.config["num_classes"]


def ended(run_id: str) -> bool:
    """Whether a run of that id has left a model to use, be it from before a restart."""
    try:
        return runs.find(run_id).usable
    except ValueError:
        return False


def dataset(model: Classifier) -> str:
    """Name of the dataset whose classes the model tells apart; where none here has them, of one to show it."""
    name = model.trained.get("dataset")
    classes = set(model.classes)
    fitting = [entry.name for entry in DATASETS.values() if classes and classes <= set(entry.classes)]
    nearest = preferred() if "pretrained" in model.trained else fallback()  # photographs, for a model of photographs
    return name if name in DATASETS else next(iter(fitting), nearest.name)


def recorded(wanted: str) -> str | None:
    """The checkpoint of a dataset of which moments were kept while it learned, if there is one."""
    for key in shipped():
        model = find(key)
        known = set(model.classes) <= set(DATASETS[dataset(model)].classes)
        if dataset(model) == wanted and known and moments(key).moments:
            return key
    return None


def moments(key: str) -> Album:
    """What was recorded of a checkpoint while it learned; empty where nothing was, or nothing that can be read."""
    return stored.album(CHECKPOINTS / key) if _shipped(key) else Album()


def name(model: Classifier) -> str:
    return model.trained.get("model", "vit").replace("_", "-")


def choices(names: RunNames) -> list[tuple[str, str]]:
    """(label, key) of what this page can choose, its newest run first."""
    own = [key for key in reversed(names) if available(key)]
    keys = own + [key for key in shipped() if key not in own]
    return [(title(key, names) + _facts(find(key)), key) for key in keys]


def title(key: str, names: RunNames) -> str:
    """Variant and dataset, and before them what this page calls a run."""
    model = find(key)
    called = f"{names[key]}: " if key in names else ""
    return f"{called}{name(model)} · {knows(model)}"


def knows(model: Classifier) -> str:
    """What it tells apart, in a word or two."""
    if headless(model):
        return "no class head"
    if not set(model.classes) <= set(DATASETS[dataset(model)].classes):
        return "ImageNet" if model.classes == imagenet_classes() else f"{len(model.classes)} classes"
    return label(dataset(model))


def name_run(names: RunNames, run_id: str, own: bool) -> RunNames:
    """The runs that a page knows and one more: its browser's own have a number, another's is a run."""
    if run_id in names:
        return names
    number = 1 + sum(called.startswith(OWN) for called in names.values())
    return {**names, run_id: f"{OWN} {number}" if own else ANOTHERS}


def accuracy(model: Classifier) -> tuple[float, str] | None:
    """On test images where that was measured, else on validation images: in [0, 1], and "test" or "validation"."""
    for split in ("test", "validation"):
        if (share := model.trained.get(f"{split}_accuracy")) is not None:
            return share, split
    return None


def _folders() -> set[str]:
    return {file.parent.name for part in (CONFIG, WEIGHTS) for file in CHECKPOINTS.glob(f"*/{part}")}


def _shipped(key: str) -> bool:
    return key in _folders() and stored.intact(CHECKPOINTS / key)


def _facts(model: Classifier) -> str:
    measured = "" if (measurement := accuracy(model)) is None else f" · {measurement[0]:.1%} {measurement[1]}"
    inside = f"{model.num_maps} × {model.num_heads} heads" if isinstance(model, ViT) else "no attention"
    before = model.trained.get("resized_from")
    size = f" · read at {model.config['img_size']} px, made for {before}" if before else ""
    return f" · {inside}{measured}{size}"
