"""In which order pictures are dealt out to splits: shuffled, class by class, the same for everybody."""

import numpy as np
import torch
from torch import Tensor


def dealt(labels: Tensor) -> Tensor:
    """Indices of (n,) labels, shuffled once and dealt class by class: however many are taken, they are balanced."""
    # RandomState's stream is frozen by numpy's compatibility policy; torch's generators make no such promise.
    shuffled = torch.from_numpy(np.random.RandomState(0).permutation(len(labels)))
    return shuffled[turns(labels[shuffled]).argsort(stable=True)] if len(labels) else shuffled


def turns(labels: Tensor) -> Tensor:
    """Of each of (n,) labels the how-manieth of its class it is, from 1."""
    one_hot = torch.nn.functional.one_hot(labels)
    return (one_hot.cumsum(0) * one_hot).sum(1)
