"""One step of training: augmentation, the gradients of a batch, and what the optimizers make of them."""

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vit.data.augment import color_jitter, cutmix, degrade, mixup, on_device, random_erasing
from vit.model import Classifier, Dropout, ViT
from vit.precision import autocast
from vit.training.config import TrainConfig
from vit.training.distill import distillation_loss
from vit.training.state import TrainState


def step(state: TrainState, config: TrainConfig, images: Tensor, labels: Tensor, lr: float) -> Tensor:
    """One update of the weights; loss and accuracy of the batch, (2,), on its device, which nobody waits for here.

    Every process augments the whole batch and then takes its part, so that two processes do what one does with twice
    the batch. The model's batch norms, which only a conv stem has, see their own process's part alone.
    """
    model = state.model
    # (0, 1) and (1, 0) have nothing in common, nor have a step's augmentation and its dropout.
    augmenting, dropping = np.random.SeedSequence((config.seed, state.step)).generate_state(2).tolist()
    # Not F.one_hot, which looks at the labels first: outside of CUDA the host would wait for them.
    targets = (labels[:, None] == torch.arange(len(model.classes), device=labels.device)).float()
    generator = torch.Generator().manual_seed(augmenting)
    if config.degrade:
        images = degrade(images, config.degrade, generator)
    images = model.normalize(images)
    images, targets = _augment(images, targets, config, state.done, generator)
    keep = _kept_patches(model, len(images), config, state.done, generator)
    mine = slice(state.rank, None, state.processes)
    answers = None if state.teacher is None else state.teacher.answer(images[mine], state.step)
    with _dropping(model, torch.Generator(images.device).manual_seed(dropping)):
        kept = None if keep is None else keep[mine]
        sums = _gradients(state, config, images[mine], targets[mine], labels[mine], kept, answers)
    _move(state, config, lr)
    if state.average:
        state.average.update(model)
    state.step += 1
    if state.processes > 1:
        distributed.all_reduce(sums)
    return sums / len(images)


def _move(state: TrainState, config: TrainConfig, lr: float) -> None:
    """Clips the gradients and has the optimizers step, but where one overflowed float16: then the scale is halved."""
    for optimizer in state.optimizers:
        state.scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
    if not state.scaler.is_enabled() or norm.isfinite():
        for optimizer in state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr * group["rate"]
            optimizer.step()
    if state.scaler.is_enabled():
        state.scaler.update()


@contextlib.contextmanager
def _dropping(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Has the model's dropout and drop-path draw from a generator: torch's global one is other threads', too."""
    layers = [module for module in model.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.generator = generator
    try:
        yield
    finally:  # a model with a generator in it could not be saved or copied
        for layer in layers:
            layer.generator = None


def _gradients(
    state: TrainState,
    config: TrainConfig,
    images: Tensor,
    targets: Tensor,
    labels: Tensor,
    keep: Tensor | None,
    answers: Tensor | None,
) -> Tensor:
    """Leaves the batch's gradients in the model, scaled; returns the sums of losses and of right answers, (2,)."""
    assert state.precision is not None, "settle decides before the first step"
    state.model.zero_grad(set_to_none=True)
    sums = torch.zeros(2, device=images.device)
    given = (images, targets, labels, keep, answers)
    parts = [[None] * config.accumulate if g is None else g.chunk(config.accumulate) for g in given]
    for i, (part, target, label, kept, told) in enumerate(zip(*parts, strict=True), start=1):
        exchange: contextlib.AbstractContextManager = contextlib.nullcontext()
        if i < config.accumulate and isinstance(state.forward, DistributedDataParallel):
            exchange = state.forward.no_sync()  # the last part sends the sum of all
        with exchange:
            with autocast(part.device, state.precision.name):
                loss, logits = _loss(state, config, part, target, kept, told)
            state.scaler.scale(loss * len(part) / len(images)).backward()
        sums += torch.stack([loss.detach() * len(part), (logits.argmax(1) == label).sum()])
    return sums


def _loss(
    state: TrainState,
    config: TrainConfig,
    images: Tensor,
    targets: Tensor,
    keep: Tensor | None,
    answers: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """What is minimized, and the logits that predict."""
    chosen = {} if keep is None else {"keep": keep}
    if answers is not None and state.model.config.get("distilled"):
        heads = state.forward(images, **chosen, each_head=True)
        return distillation_loss(heads, targets, answers, config), heads.mean(0)
    logits = state.forward(images, **chosen)
    if answers is None:
        return F.cross_entropy(logits, targets, label_smoothing=config.label_smoothing), logits
    return distillation_loss(logits.expand(2, -1, -1), targets, answers, config), logits


def _kept_patches(
    model: Classifier, count: int, config: TrainConfig, done: float, generator: torch.Generator
) -> Tensor | None:
    """Which patches of each image are learned from, (count, K), drawn anew each step; None for all."""
    if not config.patch_dropout or done >= config.strong_until or not isinstance(model, ViT):
        return None
    patches, device = math.prod(model.grid_size), next(model.parameters()).device
    kept = max(1, round(patches * (1 - config.patch_dropout)))
    draws = torch.rand(count, patches, generator=on_device(generator, device), device=device)
    return draws.topk(kept).indices


def _augment(
    images: Tensor, targets: Tensor, config: TrainConfig, done: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if config.color:
        images = color_jitter(images, config.color, generator)
    if config.erase:
        images = random_erasing(images, config.erase, generator)
    mixes = [(mix, alpha) for mix, alpha in ((mixup, config.mixup), (cutmix, config.cutmix)) if alpha]
    if mixes and done < config.strong_until:
        mix, alpha = mixes[torch.randint(len(mixes), (), generator=generator)]
        images, targets = mix(images, targets, alpha, generator)
    return images, targets
