"""The recorded run that the Train tab plays until a visitor trains: how the checkpoint of the data came to be."""

from vit.data.registry import label
from vit.live import models
from vit.live.datasets import SOURCES
from vit.live.history import History
from vit.training.config import TrainConfig, current_names
from vit.training.moments import Album, Moment
from vit.ui.charts import clock
from vit.ui.errors import BadInput
from vit.ui.train import curves
from vit.ui.train import view as train_view


def forming(dataset: str) -> dict | None:
    """As of a run; None where nothing is recorded, or the pictures aren't there. The page asks for moments by `key`."""
    key = models.recorded(dataset) if SOURCES[dataset].splits is not None else None
    if key is None:
        return None
    model, moments = models.find_vit(key), models.moments(key).moments
    try:
        pictures = train_view.pictures_of(dataset, tuple(model.classes), model.trained.get("validation_size"))
    except BadInput:
        return None
    return {
        **pictures,
        "readout": model.has_readout,
        "tokens": model.num_tokens,
        "run": "",
        "recorded": key,
        "says": _says(key, moments[-1]),
        "moments": [{"id": moment.id, **moment.figures} for moment in moments],
        "inline": train_view.packed(moments[:1]),
        "live": False,
    }


def charts(dataset: str) -> str:
    """The curves as far as its moments tell. There must be a recorded run of this dataset."""
    key = models.recorded(dataset)
    assert key is not None, f"nothing is recorded of {dataset}"
    model = models.find_vit(key)
    return curves.draw(_history(models.moments(key)), _config(model.trained.get("config")), len(model.classes))


def _config(saved: object) -> TrainConfig:
    """What it was trained with; one that changes nothing of the pictures where that can't be read."""
    try:
        return TrainConfig(**current_names(saved))
    except (TypeError, ValueError):  # of another version of this code, or damaged
        return TrainConfig(epochs=1, label_smoothing=0, patch_dropout=0, crop=0, flip=False)


def _history(album: Album) -> History:
    history = History()
    for figures in (moment.figures for moment in album.moments[1:]):
        history.seconds.append(figures["seconds"])
        history.lr.append(figures["lr"])
        history.loss.append(figures.get("loss") or float("nan"))
        history.accuracy.append(figures.get("accuracy") or float("nan"))
        if (accuracy := figures.get("validation")) is not None:
            history.validation_seconds.append(figures["seconds"])
            history.validation_accuracy.append(accuracy)
    return history


def _says(key: str, last: Moment) -> str:
    model, figures = models.find(key), last.figures
    on = f" on {device}" if (device := model.trained.get("device")) else ""
    return (
        f"Recorded: how the {models.name(model)} that comes with this page learned {label(models.dataset(model))}, "
        f"{figures['step']:,} steps in {clock(figures['seconds'])} min{on}. Start your own to replace it."
    )
