"""A Vision Transformer written from scratch: train it, use it, look inside.

>>> model = vit.vit_tiny()  # or vit.ViT.from_pretrained("checkpoints/shapes")
>>> logits, maps = model(images, return_attention=True)  # maps: one (B, heads, N, N) per layer
"""

from vit.cnn import CNN
from vit.model import MLP, Attention, ConvStem, PatchEmbedding, TransformerBlock, ViT
from vit.variants import cnn, create_model, vit_base, vit_large, vit_live, vit_live_patch, vit_small, vit_tiny

__version__ = "0.1.0"

__all__ = [
    "CNN",
    "MLP",
    "Attention",
    "ConvStem",
    "PatchEmbedding",
    "TransformerBlock",
    "ViT",
    "cnn",
    "create_model",
    "vit_base",
    "vit_large",
    "vit_live",
    "vit_live_patch",
    "vit_small",
    "vit_tiny",
]
