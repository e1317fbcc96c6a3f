"""All that fixes a run: data, model and settings; the command line that repeats it, and what its model says of it."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

from vit.data.registry import DATASETS, Entry, entry
from vit.device import device_name
from vit.model import GLOBAL_POOLS, Classifier, ViT
from vit.precision import Precision
from vit.training import finetune
from vit.training.config import LENGTHS, SETTINGS, TrainConfig, current_names, defaults, option, settings_of
from vit.training.finetune import ALONE, PIXELS, student
from vit.training.setting import Setting, WrongSetting
from vit.variants import MODELS, create_model, kind_of

if TYPE_CHECKING:
    from vit.evaluation import Evaluation
    from vit.training.progress import Progress

SHAPE = {  # the arguments of a model that a run may choose; the model's own where it doesn't
    "patch_size": Setting(int, "pixels along a patch's side", low=1),
    "embed_dim": Setting(int, "width: values a token", low=1),
    "depth": Setting(int, "layers", low=1),
    "num_heads": Setting(int, "heads a layer; divides the width", low=1),
    "width": Setting(int, "channels of the CNN's second and third group", low=4),
    "stem": Setting(str, "patch, the paper's, or conv", choices=("patch", "conv")),
    "global_pool": Setting(
        str,
        "what the head reads: token, the paper's class token; attn, attention over the patches asked by a class token "
        "and their mean",
        choices=GLOBAL_POOLS,
    ),
    "distilled": Setting(bool, "DeiT's second token and head, which learn from a teacher"),
    "reg_tokens": Setting(int, "registers: tokens that nothing reads in the end", low=0),
    "init_values": Setting(float, "where LayerScale's factors start; 0 leaves them out", low=0),
    "drop_rate": Setting(float, "dropout", 0, 1, below=True, flag="--drop", former=("--drop-rate",)),
    "drop_path_rate": Setting(
        float,
        "stochastic depth: rate of the last layer",
        0,
        1,
        below=True,
        flag="--drop-path",
        former=("--drop-path-rate",),
    ),
}
SHAPE_OF_DATA = ("img_size", "in_chans", "num_classes")  # arguments that data and classes say


@dataclass(frozen=True)
class RunSpec:
    """All that fixes a run. Raises WrongSetting, a ValueError, on what cannot be.

    classes: those of the dataset it learns, in the dataset's order; all of them where none is named. shape: what of
    the model is chosen, by the names of SHAPE. validation_size: training images held out; None for a tenth.
    parent: the trained model that it begins as, with a new head; `model` is then what that is called, and of its shape
    nothing is chosen. img_size: of the pictures; None for the parent's, else the dataset's.
    float16: whether the weights are stored in half the size. record: whether moments of the run are kept beside them.
    distill_from, distill_answers: the teacher's checkpoint, and where its answers are kept. processes: that train it
    together.
    """

    dataset: str
    model: str
    config: TrainConfig
    classes: tuple[str, ...] = ()
    shape: Mapping[str, object] = field(default_factory=dict)
    validation_size: int | None = option(
        None, int, "training images held out to measure on; a tenth if not set", 0, optional=True
    )
    parent: str | None = option(
        None,
        str,
        "begin as a trained model: a checkpoint folder, or OWNER/NAME; other defaults hold then",
        optional=True,
        flag="--from",
    )
    img_size: int | None = option(
        None, int, "pixels along a picture's side; the parent's, else the dataset's", 0, above=True, optional=True
    )
    float16: bool = option(False, bool, "store the weights in half the size")
    record: bool = option(False, bool, "keep moments of the run: maps, statistics, and eight models on the way")
    distill_from: str | None = option(None, str, "the teacher: a checkpoint folder, or OWNER/NAME", optional=True)
    distill_answers: str | None = option(
        None, str, "folder that keeps the teacher's answers, for the next run of the same settings", optional=True
    )
    processes: int = 1

    def __post_init__(self):
        object.__setattr__(self, "img_size", RUN_SETTINGS["img_size"].check("img_size", self.img_size))
        _entry(self.dataset, self.img_size)
        if self.parent is None:
            Setting(str, "", choices=tuple(MODELS)).check("model", self.model)
        for name, setting in RUN_SETTINGS.items():
            object.__setattr__(self, name, setting.check(name, getattr(self, name)))
        if self.parent is not None:
            object.__setattr__(self, "model", self.parent.rstrip("/\\").replace("\\", "/").rpartition("/")[2])
        elif self.config.train == "head":
            raise WrongSetting("train", "The head alone learns on a trained body; name one: --from CHECKPOINT.")
        if self.config.train == "head":
            _check_alone(self.config)
        if unknown := [name for name in self.shape if name not in SHAPE]:
            raise WrongSetting(unknown[0], f"There is no {unknown[0]!r} to choose of a model; {', '.join(SHAPE)} are.")
        if self.parent is not None and self.shape:
            name = next(iter(self.shape))
            raise WrongSetting(name, f"A model that begins as {self.parent} has its {name}; leave that out.")
        own = [name for name in SHAPE if name in signature(kind_of(self.model)).parameters]
        if foreign := [name for name in self.shape if name not in own]:
            raise WrongSetting(foreign[0], f"{self.model} has no {foreign[0]}; of its shape choose {', '.join(own)}.")
        object.__setattr__(self, "shape", {name: SHAPE[name].check(name, v) for name, v in self.shape.items()})
        object.__setattr__(self, "classes", _classes(self.entry, self.classes))
        self._check_teacher()
        _check_idle(self.config, patches=self.parent is not None or kind_of(self.model) is ViT)

    def _check_teacher(self) -> None:
        needs = {"distill": self.config.distill, "distill_from": self.distill_from}
        wanted = self.shape.get("distilled", False) or any(needs.values())
        if wanted and (missing := [name for name, value in needs.items() if not value]):
            raise WrongSetting(
                missing[0],
                "To learn from a teacher takes a way (--distill hard or soft) and the teacher (--distill-from "
                f"CHECKPOINT), as a distilled model (--distilled) does in any case; {missing[0]} is missing.",
            )
        if self.distill_answers and not self.distill_from:
            raise WrongSetting("distill_answers", "distill_answers keeps a teacher's answers; name one: distill_from.")
        if self.distill_answers and (self.config.epochs is None or self.processes > 1):
            raise WrongSetting(
                "distill_answers",
                "A teacher's answers can be kept of a run whose steps are fixed, in one process: set epochs in place "
                "of minutes, and train without torchrun.",
            )

    @classmethod
    def make(cls, values: Mapping[str, Any]) -> "RunSpec":
        """From values by name, all on one level: dataset and model, the fields of TrainConfig and of this, SHAPE's.

        What is left out is the dataset's recipe, with a parent that of fine-tuning, else the default. Raises
        WrongSetting.
        """
        dataset = values.get("dataset")
        about = _entry(dataset, values.get("img_size"))
        chosen = {name: values[name] for name in SETTINGS if name in values}
        own = {name: values[name] for name in ("classes", "processes", *RUN_SETTINGS) if name in values}
        shape = {name: values[name] for name in SHAPE if name in values}
        if own.get("parent") is not None and values.get("model") is not None:
            raise WrongSetting("model", "A run that begins as a trained model has its shape; leave out --model.")
        usual = recipe(about, chosen, own.get("parent"), own.get("validation_size"))
        config = TrainConfig(**{**usual, **chosen})
        return cls(about.name, values.get("model"), config, shape=shape, **own)  # type: ignore[arg-type]  # it checks

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> "RunSpec":
        """From what saved() gave, or an earlier version. Raises ValueError, TypeError or KeyError on anything else."""
        shape = {name: value for name, value in saved["shape"].items() if name not in SHAPE_OF_DATA}
        more = {name: saved[name] for name in (*RUN_SETTINGS, "processes") if name in saved}
        config = TrainConfig(**current_names(saved["config"]))
        return cls(saved["dataset"], saved["model"], config, tuple(saved["classes"]), shape, **more)

    def saved(self) -> dict:
        """As JSON."""
        return asdict(self)

    @property
    def entry(self) -> Entry:
        """What is known of the data: of one's own pictures more once they are loaded."""
        return _entry(self.dataset, self.img_size)

    @property
    def architecture(self) -> dict:
        """The model's arguments that are not the variant's own."""
        size = self.img_size or self.entry.size
        fixed = dict(zip(SHAPE_OF_DATA, (size, self.entry.channels, len(self.classes)), strict=True))
        return {**fixed, **self.shape}

    def build(self) -> Classifier:
        """The model at its start, the same for the same seed. Raises CheckpointError where a parent can't be had."""
        generator = torch.Generator().manual_seed(self.config.seed)
        if self.parent is not None:
            parent = Classifier.from_pretrained(self.parent)
            return student(parent, self.classes, self.img_size, generator, self.parent)
        model = create_model(self.model, generator, **self.architecture)
        model.classes, model.mean, model.std = self.classes, self.entry.mean, self.entry.std
        return model

    def computed_in(self, precision: Precision) -> "RunSpec":
        """The same in the precision that was found for it."""
        return replace(self, config=replace(self.config, precision=precision.name))

    @property
    def title(self) -> str:
        """The variant's name, and what of it was changed; or what it began as."""
        if self.parent is not None:
            return f"{self.model}, {'its head alone' if self.config.train == 'head' else 'fine-tuned'}"
        words = {"patch_size": "patch", "embed_dim": "width", "num_heads": "heads"}
        changed = ", ".join(f"{words.get(name, name.replace('_', ' '))} {value}" for name, value in self.shape.items())
        return self.model.replace("_", "-") + (f" ({changed})" if changed else "")

    @property
    def command(self) -> str:
        """The command line that trains the same model on the same images as long."""
        launcher = ["torchrun", "--nproc-per-node", str(self.processes)] if self.processes > 1 else ["python"]
        words = [*launcher, "-m", "vit", "train", "--dataset", self.dataset]
        words += [] if self.parent is not None else ["--model", self.model]
        usual = defaults(TrainConfig) | recipe(self.entry, asdict(self.config), self.parent, self.validation_size)
        for settings, values, unsaid in (
            (SETTINGS, vars(self.config), usual),
            (SHAPE, self.shape, {}),
            (RUN_SETTINGS, vars(self), defaults(RunSpec)),
        ):
            for name, setting in settings.items():
                if name in values and (name not in unsaid or values[name] != unsaid[name]):
                    words += setting.words(name, values[name])
        if self.classes != self.entry.classes:
            words += ["--classes", *self.classes]
        return shlex.join(words)

    def trained(
        self,
        progress: "Progress",
        device: torch.device,
        validation_accuracy: float | None,
        evaluation: "Evaluation | None" = None,
        lr_changes: Iterable[tuple[float, float]] = (),
        precision: Precision | None = None,
    ) -> dict:
        """How the model was trained, as config.json and the card say it; lr_changes: (seconds, rate) on the way."""
        tested = {"test_accuracy": evaluation.accuracy, "test_images": evaluation.n} if evaluation else {}
        changes = {f"after {seconds:.0f} s": lr for seconds, lr in lr_changes}
        return {
            "dataset": self.dataset,
            "model": self.model,
            **({"parent": self.parent} if self.parent is not None else {}),
            "validation_accuracy": validation_accuracy,
            "validation_size": self.validation_size,
            **({"pictures": pictures} if (pictures := self.entry.pictures) is not None else {}),
            **tested,
            "epochs": round(progress.epoch, 3),
            "steps": progress.step,
            "seconds": round(progress.elapsed, 1),
            "images_per_second": round(progress.images_per_second, 1),
            **({"precision": str(precision)} if precision else {}),
            "command": self.command,
            **({"learning_rate_changes": changes} if changes else {}),
            "device": device_name(device),
            "torch": torch.__version__,
            "config": asdict(self.config),
        }


RUN_SETTINGS = settings_of(RunSpec)


def recipe(
    entry: Entry, chosen: Mapping[str, Any], parent: str | None = None, held_out: int | None = None
) -> dict[str, Any]:
    """The dataset's own values of TrainConfig, or those that suit fine-tuning; of a length only where none was chosen.

    held_out: of the training images; None for a tenth.
    """
    values, images = entry.recipe, entry.train_images
    if parent is not None:
        left = None if images is None else max(1, images - (images // 10 if held_out is None else held_out))
        values = finetune.recipe(chosen.get("train", "all"), left)
        del values["train"]  # what was chosen
    fixed = any(chosen.get(name) is not None for name in LENGTHS)
    return {name: value for name, value in values.items() if not (fixed and name in LENGTHS)}


def _entry(dataset: Any, img_size: int | None) -> Entry:
    """Raises WrongSetting where there is no such dataset."""
    if not isinstance(dataset, str):
        raise WrongSetting("dataset", f"dataset must be one of {', '.join(DATASETS)}, got {dataset!r:.100}.")
    try:
        return entry(dataset, img_size)
    except ValueError as error:
        raise WrongSetting("dataset", str(error)) from error


def _check_alone(config: TrainConfig) -> None:
    """Raises WrongSetting for what would do nothing where the head alone learns."""
    for name, unused in ALONE.items():
        if (value := getattr(config, name)) != unused:
            said = " ".join(SETTINGS[name].words(name, value))
            how = "from each picture as it is" if name in PIXELS else "from features, by plain steps of AdamW"
            raise WrongSetting(name, f"{said} would do nothing: the head alone learns {how}; leave it out.")


def _check_idle(config: TrainConfig, patches: bool) -> None:
    """Raises WrongSetting for what would do nothing without a teacher, or without patches."""
    lacking = {
        "distill_alpha": "" if config.distill else "a teacher",
        "distill_tau": "" if config.distill == "soft" else "a teacher's probabilities (--distill soft)",
        "patch_dropout": "" if patches else "patches, which a CNN has not",
    }
    for name, what in lacking.items():
        if what and (value := getattr(config, name)) not in (0, defaults(TrainConfig)[name]):
            said = " ".join(SETTINGS[name].words(name, value))
            raise WrongSetting(name, f"{said} would do nothing without {what}; leave it out.")


def _classes(about: Entry, chosen: object) -> tuple[str, ...]:
    """In the dataset's order. Raises WrongSetting."""
    dataset, there = about.name, about.classes
    if not isinstance(chosen, list | tuple) or not all(isinstance(name, str) for name in chosen):
        raise WrongSetting("classes", f"classes must be a list of names, got {chosen!r:.100}.")
    if wrong := [name for name in chosen if name not in there]:
        raise WrongSetting("classes", f"{dataset} has no class {wrong[0]!r}; choose of {', '.join(there)}.")
    if twice := [name for name in chosen if chosen.count(name) > 1]:
        raise WrongSetting("classes", f"Class {twice[0]!r} is named twice; name each class once.")
    if len(chosen) == 1:
        raise WrongSetting("classes", "With one class there is nothing to tell apart; choose at least 2.")
    return tuple(name for name in there if name in chosen) or there
