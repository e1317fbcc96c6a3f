"""What a run is: TrainConfig has the settings of training, RunSpec all that fixes it, data and model included."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import torch

from vit.data.registry import DATASETS
from vit.device import device_name
from vit.model import ViT
from vit.training.optim import OPTIMIZERS, SCHEDULES
from vit.training.setting import Setting, WrongSetting
from vit.variants import MODELS, create_model

if TYPE_CHECKING:
    from vit.evaluation import Evaluation
    from vit.training.loop import Progress

SHAPE = {  # the arguments of ViT that a run may choose; the model's own where it doesn't
    "patch_size": Setting(int, "pixels along a patch's side", low=1),
    "embed_dim": Setting(int, "width: values a token", low=1),
    "depth": Setting(int, "layers", low=1),
    "num_heads": Setting(int, "heads a layer; divides the width", low=1),
    "stem": Setting(str, "patch, the paper's, or conv", choices=("patch", "conv")),
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
RENAMED = {"colour": "color"}  # fields of TrainConfig in what was saved before
LENGTHS = {"epochs", "minutes"}  # of which a run has one
SHAPE_OF_DATA = ("img_size", "in_chans", "num_classes")  # arguments of ViT that data and classes say


def _setting(default: object, kind: type, help: str, *bounds: Any, **more: Any):
    return field(default=default, metadata={"setting": Setting(kind, help, *bounds, **more)})


@dataclass
class TrainConfig:
    """What a run is, besides its model and data. Raises WrongSetting, a ValueError, on values that cannot work.

    batch_size: images a step; of each process, where there are several (torchrun).
    epochs or minutes: how long; exactly one is set. Minutes count the time spent in the loop, validation included,
        not the time its consumer takes between two steps.
    optimizer: "adamw", or "muon", which has Muon move the matrices and kernels of patch embedding and blocks, at twice
        the rate, and AdamW the rest.
    lr: peak learning rate; may be changed while the run goes on, and holds from the next step.
    warmup: share of the run over which the rate rises linearly from 0; then it falls to 0 in the schedule's shape,
        "cosine", "linear" or "trapezoid".
    weight_decay: of matrices and convolution kernels only, never of biases, norms, tokens or position embeddings.
    clip_norm: largest norm of all gradients together. crop: padding of the random crop in pixels, 0 for none.
    mixup, cutmix: alpha of each, 0 for none; with both, each step does one of them. patch_dropout: share of the patches
        left out of each image, which costs that much less. strong_until: share of the run after which none of these
        three is done, so that the end sees whole images. erase: probability of random erasing. color: strength of the
        color jitter.
    accumulate: parts that a batch is cut into, one after the other, where it does not fit into memory as a whole; the
        gradient is that of the whole batch, but that a conv stem's batch norms see a part alone. compile: whether
        torch.compile makes the model's forward pass faster; it takes about a minute first.
    autocast: whether to compute in bfloat16 where the device is fast at it; False is float32 throughout.
    ema: decay of the weights' moving average, which is then what is validated and kept; 0 for none.
    """

    epochs: float | None = _setting(None, float, "passes over the training images", 0, above=True, optional=True)
    minutes: float | None = _setting(None, float, "time to train; 2 if neither is set", 0, above=True, optional=True)
    batch_size: int = _setting(128, int, "images a step", 0, above=True)
    optimizer: str = _setting(
        "muon",
        str,
        f"one of {', '.join(OPTIMIZERS)}; muon learns more from as many images",
        choices=OPTIMIZERS,
        flag="--opt",
        former=("--optimizer",),
    )
    lr: float = _setting(3e-3, float, "peak learning rate", 0, above=True)
    weight_decay: float = _setting(0.05, float, "pulls matrices towards zero", 0)
    warmup: float = _setting(0.1, float, "share of the run over which the rate rises", 0, 1, below=True)
    label_smoothing: float = _setting(
        0.1,
        float,
        "share of the target spread over all classes",
        0,
        1,
        below=True,
        flag="--smoothing",
        former=("--label-smoothing",),
    )
    clip_norm: float = _setting(1.0, float, "largest norm of all gradients", 0, above=True, flag="--clip-grad")
    schedule: str = _setting("linear", str, f"shape in which the rate falls: {', '.join(SCHEDULES)}", choices=SCHEDULES)
    crop: int = _setting(2, int, "largest shift of an image, in pixels", 0)
    flip: bool = _setting(True, bool, "mirror half of the images")
    mixup: float = _setting(0.0, float, "alpha of mixup; 0 for none", 0)
    cutmix: float = _setting(0.0, float, "alpha of cutmix; 0 for none", 0)
    patch_dropout: float = _setting(
        0.5, float, "share of the patches left out of each image, which saves time", 0, 1, below=True
    )
    strong_until: float = _setting(
        0.6, float, "share of the run after which images are no longer mixed, nor patches left out", 0, 1
    )
    erase: float = _setting(
        0.0, float, "probability of erasing a box of an image", 0, 1, flag="--reprob", former=("--erase",)
    )
    color: float = _setting(
        0.0,
        float,
        "strength of random brightness, contrast and saturation",
        0,
        1,
        flag="--color-jitter",
        former=("--colour",),
    )
    ema: float = _setting(
        0.0,
        float,
        "decay of the weights' moving average, which is then kept; 0 for none",
        0,
        1,
        below=True,
        flag="--model-ema-decay",
        former=("--ema",),
    )
    accumulate: int = _setting(1, int, "parts that a batch is cut into where memory is short", 0, above=True)
    compile: bool = _setting(False, bool, "torch.compile the model: a minute first, then faster")
    autocast: bool = _setting(True, bool, "bfloat16 where the device is fast at it")
    seed: int = _setting(0, int, "the same seed gives the same losses", 0, 2**63 - 1)

    def __post_init__(self):
        if (self.epochs is None) == (self.minutes is None):
            raise WrongSetting(
                "minutes",
                f"Set either epochs or minutes, got epochs={self.epochs} and minutes={self.minutes}; "
                f"epochs fix the work, minutes fix the time.",
            )
        for name, setting in SETTINGS.items():
            setattr(self, name, setting.check(name, getattr(self, name)))
        if self.accumulate > self.batch_size or self.batch_size % self.accumulate:
            message = f"accumulate must divide the batch of {self.batch_size}, got {self.accumulate}."
            raise WrongSetting("accumulate", message)


def _settings(cls: type) -> dict[str, Setting]:
    return {f.name: f.metadata["setting"] for f in fields(cls) if "setting" in f.metadata}


SETTINGS = _settings(TrainConfig)


@dataclass(frozen=True)
class RunSpec:
    """All that fixes a run. Raises WrongSetting, a ValueError, on what cannot be.

    classes: those of the dataset it learns, in the dataset's order; all of them where none is named. shape: what of
    the model is chosen, by the names of SHAPE. validation_size: training images held out; None for a tenth.
    float16: whether the weights are stored in half the size. record: whether moments
    of the run are kept beside them. processes: that train it together.
    """

    dataset: str
    model: str
    config: TrainConfig
    classes: tuple[str, ...] = ()
    shape: Mapping[str, object] = field(default_factory=dict)
    validation_size: int | None = _setting(
        None, int, "training images held out to measure on; a tenth if not set", 0, optional=True
    )
    float16: bool = _setting(False, bool, "store the weights in half the size")
    record: bool = _setting(False, bool, "keep moments of the run: maps, statistics, and eight models on the way")
    processes: int = 1

    def __post_init__(self):
        Setting(str, "", choices=tuple(DATASETS)).check("dataset", self.dataset)
        Setting(str, "", choices=tuple(MODELS)).check("model", self.model)
        for name, setting in RUN_SETTINGS.items():
            object.__setattr__(self, name, setting.check(name, getattr(self, name)))
        if unknown := [name for name in self.shape if name not in SHAPE]:
            raise WrongSetting(unknown[0], f"There is no {unknown[0]!r} to choose of a model; {', '.join(SHAPE)} are.")
        object.__setattr__(self, "shape", {name: SHAPE[name].check(name, v) for name, v in self.shape.items()})
        object.__setattr__(self, "classes", _classes(self.dataset, self.classes))

    @classmethod
    def make(cls, values: Mapping[str, Any]) -> "RunSpec":
        """From values by name, all on one level: dataset and model, the fields of TrainConfig and of this, SHAPE's.

        What is left out is the dataset's recipe, else the default. Raises WrongSetting.
        """
        dataset = Setting(str, "", choices=tuple(DATASETS)).check("dataset", values.get("dataset"))
        chosen = {name: values[name] for name in SETTINGS if name in values}
        own = {name: values[name] for name in ("classes", "processes", *RUN_SETTINGS) if name in values}
        shape = {name: values[name] for name in SHAPE if name in values}
        config = TrainConfig(**{**recipe(dataset, chosen), **chosen})
        return cls(dataset, values.get("model"), config, shape=shape, **own)  # type: ignore[arg-type]  # it checks

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
    def architecture(self) -> dict:
        """The model's arguments that are not the variant's own."""
        entry = DATASETS[self.dataset]
        fixed = dict(zip(SHAPE_OF_DATA, (entry.size, entry.channels, len(self.classes)), strict=True))
        return {**fixed, **self.shape}

    def build(self) -> ViT:
        """The model at its start, the same for the same seed."""
        model = create_model(self.model, torch.Generator().manual_seed(self.config.seed), **self.architecture)
        entry = DATASETS[self.dataset]
        model.classes, model.mean, model.std = self.classes, entry.mean, entry.std
        return model

    @property
    def title(self) -> str:
        """The variant's name, and what of it was changed."""
        words = {"patch_size": "patch", "embed_dim": "width", "num_heads": "heads"}
        changed = ", ".join(f"{words.get(name, name.replace('_', ' '))} {value}" for name, value in self.shape.items())
        return self.model.replace("_", "-") + (f" ({changed})" if changed else "")

    @property
    def command(self) -> str:
        """The command line that trains the same model on the same images as long."""
        launcher = ["torchrun", "--nproc-per-node", str(self.processes)] if self.processes > 1 else ["python"]
        words = [*launcher, "-m", "vit", "train", "--dataset", self.dataset, "--model", self.model]
        usual = defaults(TrainConfig) | recipe(self.dataset, asdict(self.config))
        for settings, values, unsaid in (
            (SETTINGS, vars(self.config), usual),
            (SHAPE, self.shape, {}),
            (RUN_SETTINGS, vars(self), defaults(RunSpec)),
        ):
            for name, setting in settings.items():
                if name in values and (name not in unsaid or values[name] != unsaid[name]):
                    words += setting.words(name, values[name])
        if self.classes != DATASETS[self.dataset].classes:
            words += ["--classes", *self.classes]
        return shlex.join(words)

    def trained(
        self,
        progress: "Progress",
        device: torch.device,
        validation_accuracy: float | None,
        evaluation: "Evaluation | None" = None,
        lr_changes: Iterable[tuple[float, float]] = (),
    ) -> dict:
        """How the model was trained, as config.json and the card say it; lr_changes: (seconds, rate) on the way."""
        tested = {"test_accuracy": evaluation.accuracy, "test_images": evaluation.n} if evaluation else {}
        changes = {f"after {seconds:.0f} s": lr for seconds, lr in lr_changes}
        return {
            "dataset": self.dataset,
            "model": self.model,
            "validation_accuracy": validation_accuracy,
            **tested,
            "epochs": round(progress.epoch, 3),
            "steps": progress.step,
            "seconds": round(progress.elapsed, 1),
            "images_per_second": round(progress.images_per_second, 1),
            "command": self.command,
            **({"learning_rate_changes": changes} if changes else {}),
            "device": device_name(device),
            "torch": torch.__version__,
            "config": asdict(self.config),
        }


RUN_SETTINGS = _settings(RunSpec)


def defaults(cls: type) -> dict[str, object]:
    """The fields that have one."""
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING}


def recipe(dataset: str, chosen: Mapping[str, object]) -> dict[str, Any]:
    """The dataset's own values of TrainConfig; of its length only where none was chosen."""
    fixed = any(chosen.get(name) is not None for name in LENGTHS)
    return {name: value for name, value in DATASETS[dataset].recipe.items() if not (fixed and name in LENGTHS)}


def current_names(config: Any) -> Any:
    """A saved TrainConfig's fields under the names that they have now; what is no such dict, as it is."""
    return {RENAMED.get(name, name): value for name, value in config.items()} if isinstance(config, dict) else config


def _classes(dataset: str, chosen: object) -> tuple[str, ...]:
    """In the dataset's order. Raises WrongSetting."""
    there = DATASETS[dataset].classes
    if not isinstance(chosen, list | tuple) or not all(isinstance(name, str) for name in chosen):
        raise WrongSetting("classes", f"classes must be a list of names, got {chosen!r:.100}.")
    if wrong := [name for name in chosen if name not in there]:
        raise WrongSetting("classes", f"{dataset} has no class {wrong[0]!r}; choose of {', '.join(there)}.")
    if twice := [name for name in chosen if chosen.count(name) > 1]:
        raise WrongSetting("classes", f"Class {twice[0]!r} is named twice; name each class once.")
    if len(chosen) == 1:
        raise WrongSetting("classes", "With one class there is nothing to tell apart; choose at least 2.")
    return tuple(name for name in there if name in chosen) or there
