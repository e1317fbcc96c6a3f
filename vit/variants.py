"""The models that have a name: two presets for live training, Tiny, Small, Base and Large, and the CNN."""

import torch

from vit.cnn import CNN
from vit.model import Classifier, ViT

KINDS: dict[str, type[Classifier]] = {"vit": ViT, "cnn": CNN}  # by the name that config.json has for them


def vit_live(**overrides) -> ViT:
    """The preset for live training: 32 px, a grid of 8 x 8 patches from a conv stem, 3 layers of 4 heads."""
    return ViT(**{"embed_dim": 128, "depth": 3, "num_heads": 4, "mlp_ratio": 2.0, "stem": "conv", **overrides})


def vit_live_patch(**overrides) -> ViT:
    """vit_live with the paper's plain patch projection, for those who want nothing but a transformer."""
    return vit_live(**{"stem": "patch", **overrides})


def vit_tiny(**overrides) -> ViT:
    """ViT-Tiny at 32 px with patches of 4: 5,362,762 parameters."""
    return ViT(**{"embed_dim": 192, "depth": 12, "num_heads": 3, **overrides})


def vit_small(**overrides) -> ViT:
    """ViT-Small at 32 px with patches of 4: 21,342,346 parameters."""
    return ViT(**{"embed_dim": 384, "depth": 12, "num_heads": 6, **overrides})


def vit_base(**overrides) -> ViT:
    """ViT-Base/16 at 224 px, 1000 classes: 86,567,656 parameters."""
    config = {"img_size": 224, "patch_size": 16, "num_classes": 1000, "embed_dim": 768, "depth": 12, "num_heads": 12}
    return ViT(**{**config, **overrides})


def vit_large(**overrides) -> ViT:
    """ViT-Large/16 at 224 px, 1000 classes: 304,326,632 parameters."""
    config = {"img_size": 224, "patch_size": 16, "num_classes": 1000, "embed_dim": 1024, "depth": 24, "num_heads": 16}
    return ViT(**{**config, **overrides})


def cnn(**overrides) -> CNN:
    """Convolutions alone, to teach a distilled ViT: 1,972,514 parameters at 32 px."""
    return CNN(**overrides)


VITS = {f.__name__: f for f in (vit_live, vit_live_patch, vit_tiny, vit_small, vit_base, vit_large)}
MODELS = {**VITS, cnn.__name__: cnn}
LARGE_IMAGES = ("vit_base", "vit_large")  # those whose patches of 16 leave little of a picture of 32 px


def kind_of(name: str) -> type[Classifier]:
    """The class of the variant of that name."""
    return CNN if name == cnn.__name__ else ViT


def create_model(name: str, generator: torch.Generator | None = None, **overrides) -> Classifier:
    """The variant of that name; overrides are its class's arguments. Raises ValueError, listing the names, on another.

    generator: of the weights, the same from the same state whatever other threads draw; None for torch's global one.
    """
    if name not in MODELS:
        raise ValueError(f"No model is called {name!r}; there are {', '.join(MODELS)}.")
    model = MODELS[name](**overrides)
    if generator is not None:
        model.reset_parameters(generator)
    return model
