"""The models a visitor can choose: the app's own, the runs that this page trained, and those from elsewhere."""

from pathlib import Path
from reprlib import repr as short

from vit.data.registry import DATASETS, fallback, label, preferred
from vit.environment import ROOT
from vit.live import elsewhere, runs, sizes, storage, stored, taught
from vit.live.datasets import SOURCES
from vit.model import Classifier, ViT
from vit.training import earlier
from vit.training.moments import Album
from vit.weights.checkpoint import CONFIG, WEIGHTS
from vit.weights.families import imagenet_classes

CHECKPOINTS = ROOT / "checkpoints"
HEADLESS = (
    "This model has no class head: it names nothing. Look at its attention, or choose a model that learned classes."
)
NO_ATTENTION = "This model is made of convolutions: it has no attention to look into; choose another model."
OWN, ANOTHERS = "Your run", "Another's run"
AT = "@"  # KEY@STEP is what a model was at that step, where that was kept; KEY@48px the model at another size
PIXELS = "px"
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

    With "@" and a step after it, what it was then; with "@48px", for pictures of that size. Raises ValueError, naming
    the remedy.
    """
    if not key:
        raise ValueError(ADVICE)
    if size := size_of(key):
        return sizes.at(find(own_size(key)), size)
    if AT in key:
        return _find_earlier(*key.rsplit(AT, 1))
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
    """Whether there is a finished model of that name or run's id, also at another size."""
    if size := size_of(key):
        key = own_size(key)
        return available(key) and size in sizes.sizes(find(key))
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


def size_of(key: str) -> int | None:
    """The size of pictures that a key names; None where it is the model's own."""
    named = key.rpartition(AT)[2].removesuffix(PIXELS)
    at_another = AT in key and key.endswith(PIXELS) and named.isascii() and named.isdigit()
    return int(named) if at_another else None


def own_size(key: str) -> str:
    """The key of the model at its own size."""
    return key if size_of(key) is None else key.rpartition(AT)[0]


def at_size(key: str, size: int) -> str:
    """The key of the model at that size. Raises ValueError on one at which it can't be read."""
    key = own_size(key)
    model = find(key)
    sizes.at(model, size)
    return key if size == model.config["img_size"] else f"{key}{AT}{size}{PIXELS}"


def moments_of(key: str) -> list[tuple[str, str]]:
    """(label, key) of what a model was at earlier moments, where its weights were kept, from the first on."""
    folder = _folder(key)
    return [
        (f"at step {step:,}" + (f", epoch {epoch:.3g}" if epoch is not None else ""), f"{key}{AT}{step}")
        for step, epoch in (earlier.kept(folder) if folder else {}).items()
    ]


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


def worth_seeing(key: str | None, wanted: str) -> dict[int, str]:
    """Test pictures of a dataset that were chosen for a checkpoint: index -> why; none where none were."""
    curated = stored.curated(CHECKPOINTS / key) if key and _shipped(key) else None
    return {one.index: one.why for one in curated.pictures} if curated and curated.dataset == wanted else {}


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


def called(key: str) -> str:
    """What a page calls a model that is neither shipped nor a run."""
    size = size_of(key)
    if taught.belongs(own_size(key)):
        return "Own pictures"
    return f"At {size} px" if size else "From the Hub"


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


def _find_earlier(key: str, step: str) -> Classifier:
    folder = _folder(key)
    steps = earlier.kept(folder) if folder else {}
    if folder is None or not step.isascii() or not step.isdigit() or int(step) not in steps:
        kept = f"kept are {', '.join(map(str, steps))}" if steps else "none of it were kept, or it is no longer here"
        raise ValueError(f"There are no weights of {short(key)} at step {short(step)}: {kept}; choose another model.")
    return stored.load(earlier.path(folder, int(step)))


def _folder(key: str) -> Path | None:
    """Where a model lies that did not come from the Hub, if there is one that can be read."""
    return CHECKPOINTS / key if _shipped(key) else elsewhere.folder(key) or storage.folder(key)


def _folders() -> set[str]:
    return {file.parent.name for part in (CONFIG, WEIGHTS) for file in CHECKPOINTS.glob(f"*/{part}")}


def _shipped(key: str) -> bool:
    return key in _folders() and stored.intact(CHECKPOINTS / key)


def measured(model: Classifier) -> str:
    """Its accuracy as it stands behind a name, " · 93.2% test"; nothing where none was measured."""
    return "" if (measurement := accuracy(model)) is None else f" · {measurement[0]:.1%} {measurement[1]}"


def _facts(model: Classifier) -> str:
    inside = f"{model.num_maps} × {model.num_heads} heads" if isinstance(model, ViT) else "no attention"
    before = model.trained.get("resized_from")
    size = f" · read at {model.config['img_size']} px, made for {before}" if before else ""
    return f"{measured(model)} · {inside}{size}"
