"""The settings of training, each with what it may be and how the command line says it."""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from vit.precision import CHOICES
from vit.training.optim import OPTIMIZERS, SCHEDULES
from vit.training.setting import Setting, WrongSetting

RENAMED = {"colour": "color"}  # fields of TrainConfig in what was saved before
LENGTHS = {"epochs", "minutes"}  # of which a run has one


def option(default: object, kind: type, help: str, *bounds: Any, **more: Any):
    """A dataclass's field that is a Setting."""
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
        three is done, so that the end sees whole images. degrade: probability of a little blur, noise or
        JPEG. erase: of random erasing. color: strength of the color jitter.
    train: "all" of the model, or its "head" alone, on features that are computed once of each picture as it is: what
        changes pictures then does nothing. layer_decay: what the rate is multiplied by for each layer below the head.
    accumulate: parts that a batch is cut into, one after the other, where it does not fit into memory as a whole; the
        gradient is that of the whole batch, but that a conv stem's batch norms see a part alone. compile: whether
        torch.compile makes the model's forward pass faster; it takes about a minute first.
    precision: "fp32", "bf16", "fp16" on a GPU, or "auto", the fastest of them in a trial of this run's own step.
    ema: decay of the weights' moving average, which is then what is validated and kept; 0 for none.
    distill: how to learn from a teacher (a distilled model: its second head), "hard" by its choice or "soft" by its
        probabilities (DeiT, arXiv:2012.12877); None without a teacher. distill_alpha: share of that in the loss.
        distill_tau: what both divide their logits by, where it is soft.
    """

    epochs: float | None = option(None, float, "passes over the training images", 0, above=True, optional=True)
    minutes: float | None = option(
        None, float, "time to train; 2 if neither is set, without --from", 0, above=True, optional=True
    )
    batch_size: int = option(128, int, "images a step", 0, above=True)
    optimizer: str = option(
        "muon",
        str,
        f"one of {', '.join(OPTIMIZERS)}; muon learns more from as many images",
        choices=OPTIMIZERS,
        flag="--opt",
        former=("--optimizer",),
    )
    lr: float = option(3e-3, float, "peak learning rate", 0, above=True)
    weight_decay: float = option(0.05, float, "pulls matrices towards zero", 0)
    warmup: float = option(0.1, float, "share of the run over which the rate rises", 0, 1, below=True)
    label_smoothing: float = option(
        0.1,
        float,
        "share of the target spread over all classes",
        0,
        1,
        below=True,
        flag="--smoothing",
        former=("--label-smoothing",),
    )
    clip_norm: float = option(1.0, float, "largest norm of all gradients", 0, above=True, flag="--clip-grad")
    schedule: str = option("linear", str, f"shape in which the rate falls: {', '.join(SCHEDULES)}", choices=SCHEDULES)
    crop: int = option(2, int, "largest shift of an image, in pixels", 0)
    flip: bool = option(True, bool, "mirror half of the images")
    mixup: float = option(0.0, float, "alpha of mixup; 0 for none", 0)
    cutmix: float = option(0.0, float, "alpha of cutmix; 0 for none", 0)
    patch_dropout: float = option(
        0.5, float, "share of the patches left out of each image, which saves time", 0, 1, below=True
    )
    strong_until: float = option(
        0.6, float, "share of the run after which images are no longer mixed, nor patches left out", 0, 1
    )
    erase: float = option(
        0.0, float, "probability of erasing a box of an image", 0, 1, flag="--reprob", former=("--erase",)
    )
    degrade: float = option(0.0, float, "probability of a little blur, noise or JPEG, as in pictures from phones", 0, 1)
    color: float = option(
        0.0,
        float,
        "strength of random brightness, contrast and saturation",
        0,
        1,
        flag="--color-jitter",
        former=("--colour",),
    )
    ema: float = option(
        0.0,
        float,
        "decay of the weights' moving average, which is then kept; 0 for none",
        0,
        1,
        below=True,
        flag="--model-ema-decay",
        former=("--ema",),
    )
    distill: str | None = option(
        None,
        str,
        "how to learn from a teacher: hard, by its choice, or soft, by its probabilities",
        choices=("hard", "soft"),
        optional=True,
    )
    distill_alpha: float = option(0.5, float, "share of the teacher in the loss", 0, 1)
    distill_tau: float = option(3.0, float, "temperature of both where it is soft", 0, above=True)
    train: str = option("all", str, "what learns: all, or the head alone, which takes seconds", choices=("all", "head"))
    layer_decay: float = option(
        1.0, float, "the rate of each layer as a multiple of that of the layer above it", 0, 1, above=True
    )
    accumulate: int = option(1, int, "parts that a batch is cut into where memory is short", 0, above=True)
    compile: bool = option(False, bool, "torch.compile the model: a minute first, then faster")
    precision: str = option(
        "auto",
        str,
        f"{', '.join(CHOICES)}; auto takes the fastest here, by a trial of half a second each",
        choices=CHOICES,
    )
    seed: int = option(0, int, "the same seed gives the same losses", 0, 2**63 - 1)

    def __post_init__(self):
        if (self.epochs is None) == (self.minutes is None):
            raise WrongSetting(
                "minutes",
                f"Set either epochs or minutes, got epochs={self.epochs} and minutes={self.minutes}; "
                f"epochs fix the work, minutes fix the time.",
            )
        for name, setting in SETTINGS.items():
            setattr(self, name, setting.check(name, getattr(self, name)))
        if self.train == "head" and self.distill:
            raise WrongSetting("distill", "The head alone learns from the labels; leave out distill, or train all.")
        if self.accumulate > self.batch_size or self.batch_size % self.accumulate:
            message = f"accumulate must divide the batch of {self.batch_size}, got {self.accumulate}."
            raise WrongSetting("accumulate", message)


def settings_of(cls: type) -> dict[str, Setting]:
    """The fields of a dataclass that `option` made, by name."""
    return {f.name: f.metadata["setting"] for f in fields(cls) if "setting" in f.metadata}


SETTINGS = settings_of(TrainConfig)


def defaults(cls: type) -> dict[str, object]:
    """The fields that have one."""
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING}


def current_names(config: Any) -> Any:
    """A saved TrainConfig's fields under the names that they have now; what is no such dict, as it is."""
    if not isinstance(config, dict):
        return config
    config = {RENAMED.get(name, name): value for name, value in config.items()}
    if "autocast" in config:  # whether bfloat16 was allowed
        autocast = config.pop("autocast")
        config.setdefault("precision", "auto" if autocast else "fp32")
    return config
