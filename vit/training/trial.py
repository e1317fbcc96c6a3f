"""How fast this machine trains a model, and in which precision it is fastest, by trial of the step itself."""

import copy
from collections.abc import Callable, Hashable
from dataclasses import asdict, replace

import torch
from torch import distributed

from vit.device import keeping_memory
from vit.evaluation import inference_precision
from vit.model import Classifier
from vit.precision import Precision, choose, contenders, race, shape_of
from vit.training.config import TrainConfig
from vit.training.state import TrainState
from vit.training.step import step


def settle(state: TrainState, config: TrainConfig, validated: int = 0, learned: int = 0) -> Precision:
    """Decides what the state computes in, where nobody has, and what so many images are validated in.

    A head alone computes nothing but features of the images that it learns from and of those that are held out.

    All processes of a run take what the first one found. One that was chosen and that the device merely emulates is
    computed in, and said to be slow. Raises ValueError for one that the device doesn't have.
    """
    if config.precision != "auto":
        state.validated_in = config.precision
        if state.precision is not None and state.precision.name == config.precision != "fp32":
            state.precision = _warned(state.precision, _device(state.model))
    else:
        answered = validated + (learned if config.train == "head" else 0)
        state.validated_in = _firsts(lambda: inference_precision(state.model, answered))
    if state.precision is None and config.train == "head":
        state.compute_in(Precision(state.validated_in, "for features, the head in fp32"))
    elif state.precision is None:
        state.compute_in(Precision(**_firsts(lambda: asdict(training_precision(state.model, config)))))
    assert state.precision is not None
    return state.precision


def _warned(chosen: Precision, device: torch.device) -> Precision:
    """With what speaks against it, where something does."""
    reason = contenders(device)[1].get(chosen.name)
    if reason is not None and "times slower" not in reason:
        raise ValueError(f"{chosen.name} {reason}; choose --precision fp32 or auto.")
    return Precision(chosen.name, f"as chosen, though it {reason} here than fp32") if reason else chosen


def training_precision(model: Classifier, config: TrainConfig) -> Precision:
    """The fastest for a step with these settings; the first call for such a model and batch takes a second or two."""
    with keeping_memory():
        return choose(_device(model), *_work(model, config))


def images_per_second(model: Classifier, config: TrainConfig) -> float:
    """Images that training the model manages with these settings; what the trial of its precision found, if it was."""
    device, (key, begin, most) = _device(model), _work(model, config)
    names = contenders(device)[0] if config.precision == "auto" else (config.precision,)
    with keeping_memory():
        found = race((device, key), names, begin, most)
    if not found.rates:
        reasons = ", ".join(f"{name} {reason}" for name, reason in found.left_out.items())
        raise RuntimeError(f"A step with a batch of {most} can't be tried: {reasons}.")
    return max(found.rates.values())


def _work(model: Classifier, config: TrainConfig) -> tuple[Hashable, Callable, int]:
    """What is raced for: its key, its step in a precision, and the images in one."""
    images = config.batch_size // config.accumulate
    key = ("training", shape_of(model), config.optimizer, config.patch_dropout)
    return key, lambda name: _trained_copy(model, replace(config, precision=name), images), images


def _trained_copy(model: Classifier, config: TrainConfig, images: int) -> Callable[[int], float]:
    """Trains a copy of the model on so many images of noise a call, and returns the loss; the model stays as it is.

    All that is random comes from generators of its own: with a trial or without, a run is the same. Not compiled, which
    would take a minute.
    """
    config = replace(config, epochs=1, minutes=None, batch_size=images, accumulate=1, compile=False)
    network, shape = copy.deepcopy(model).train(), model.config
    network.classes = tuple(map(str, range(shape["num_classes"])))
    state = TrainState(network, config, alone=True)
    size = (images, shape["in_chans"], shape["img_size"], shape["img_size"])
    generator, device = torch.Generator().manual_seed(0), _device(model)
    noise = torch.randint(256, size, generator=generator, dtype=torch.uint8).to(device)
    labels = torch.randint(shape["num_classes"], size[:1], generator=generator).to(device)
    return lambda count: step(state, config, noise[:count], labels[:count], config.lr / 100)[0].item()


def _device(model: Classifier) -> torch.device:
    return next(model.parameters()).device


def _firsts(find: Callable):
    """What the first process finds, in all of them."""
    if not distributed.is_initialized():
        return find()
    found = [find() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(found)
    return found[0]
