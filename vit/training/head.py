"""The head alone, learned in seconds: what it reads of each picture is computed once, by a body that stays as it is."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.cnn import CNN
from vit.data.dataset import Dataset, shuffled
from vit.device import images_at_once
from vit.model import Classifier, ViT
from vit.precision import autocast
from vit.training.config import TrainConfig
from vit.training.progress import processes
from vit.training.state import TrainState


class HeadTraining:
    """What the loop asks of a run that moves the head alone: batches, a step, a measurement.

    progress: called as progress(fraction, desc=...) while features are computed, in state.validated_in; the head itself
    computes in float32. Raises ValueError for a model that is neither a ViT nor a CNN, and for several processes.
    """

    def __init__(
        self,
        state: TrainState,
        config: TrainConfig,
        train_set: Dataset,
        validation_set: Dataset | None,
        progress: Callable[..., object] | None,
    ):
        model = _known(state.model)
        if processes() > 1:
            raise ValueError("The head alone learns in seconds, in one process; train it without torchrun.")
        self.state, self.config = state, config
        sets = [train_set] if validation_set is None else [train_set, validation_set]
        total, done = sum(map(len, sets)), 0
        found: list[tuple[Tensor, Tensor]] = []
        for dataset in sets:
            parts = []
            for part in features(model, dataset, state.validated_in):
                parts.append(part)
                done += len(part)
                if progress:
                    progress(done / total, desc=f"Computing features of {total:,} pictures")
            read = torch.cat(parts)
            found.append((read, dataset.labels.to(read.device)))
        self.learned, self.held_out = found[0], found[1] if validation_set is not None else None

    def epoch(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """What is left, after that many steps, of the shuffled epoch that the next step belongs to."""
        read, labels = self.learned
        size = self.config.batch_size
        epoch, start = divmod(step, max(1, len(read) // size))  # a batch too large is for `shuffled` to refuse
        order = shuffled(len(read), size, self.config.seed, epoch)[0].to(read.device)
        for index in range(start, len(read) // size):
            here = order[index * size : (index + 1) * size]
            yield read[here], labels[here]

    def step(self, read: Tensor, labels: Tensor, lr: float) -> Tensor:
        """One update of the head; loss and accuracy of the batch, (2,)."""
        state = self.state
        state.model.zero_grad(set_to_none=True)
        logits = _known(state.model).logits_of(read)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        loss.backward()
        for optimizer in state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr * group["rate"]
            optimizer.step()
        if state.average:
            state.average.update(state.model)
        state.step += 1
        return torch.stack([loss.detach(), (logits.argmax(1) == labels).float().mean()])

    @torch.no_grad()
    def measure(self, most: int | None = None) -> tuple[float, float]:
        """Loss and accuracy on the held-out pictures, or on so many of them."""
        assert self.held_out is not None, "the loop measures where something is held out"
        read, labels = (tensor[:most] for tensor in self.held_out)
        logits = _known(self.state.best).logits_of(read)
        return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item()


@torch.no_grad()
def features(model: ViT | CNN, dataset: Dataset, precision: str = "fp32") -> Iterator[Tensor]:
    """What the heads read of the pictures, batch by batch, float32: of a ViT (B, 1, D), (B, 2, D) if distilled; of a
    CNN (B, width).

    precision: a name of precision.DTYPES. Leaves the model in eval mode.
    """
    device = next(model.parameters()).device
    model.eval()
    size = images_at_once(device)
    for start in range(0, len(dataset), size):
        images = dataset.images[start : start + size].to(device)
        with autocast(device, precision):
            read = _read(model, model.normalize(images))
        yield read.float()


def _read(model: ViT | CNN, images: Tensor) -> Tensor:
    if isinstance(model, CNN):
        return model.read_out(images)
    tokens = model.embed(images)
    for block in model.blocks:
        tokens = block(tokens)
    return model.read_out(tokens)[0]


def _known(model: Classifier) -> ViT | CNN:
    if not isinstance(model, ViT | CNN):
        raise ValueError(
            f"Of a {type(model).__name__} the head can't learn alone: expected a ViT or a CNN of this package; train "
            "it as a whole (--train all)."
        )
    return model
