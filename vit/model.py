"""The Vision Transformer of Dosovitskiy et al. 2021 (arXiv:2010.11929), to be read from top to bottom.

Shape letters, here and everywhere in the package:

    B  batch          C, H, W  channels and pixels      P  patch_size
    D  embed_dim      h, w     grid of patches, H/P and W/P
    L  depth          N        tokens: the prefix tokens (class, distillation, registers) first, if there are any, then
                               h*w patches, row by row

Parameters carry timm's names, so that weights of a plain timm ViT load unchanged. Only torch is imported: this file
can be lifted into another project as it is; only Classifier's save_pretrained and from_pretrained then stay behind.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Model = TypeVar("Model", bound="Classifier")


class PatchEmbedding(nn.Module):
    """Cuts images into P x P patches and projects each linearly to D values (Eq. 1, the E of x_p E).

    A convolution whose stride is its kernel size is that projection: one matrix product over non-overlapping patches.
    images: (B, C, H, W). Returns (B, h*w, D). Raises ValueError unless the images have the size it was built for.
    """

    def __init__(self, img_size: int = 32, patch_size: int = 4, in_chans: int = 3, embed_dim: int = 192):
        super().__init__()
        _check_patches(img_size, patch_size)
        self.img_size, self.in_chans = img_size, in_chans
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, self.in_chans, self.img_size)
        return self.proj(images).flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, h*w, D)


class ConvStem(nn.Module):
    """Three small overlapping convolutions in place of one large patch projection: learns faster and more stably.

    After Xiao et al. 2021, "Early Convolutions Help Transformers See Better" (arXiv:2106.14881). Kernels are 3 x 3; max
    pooling after the first and second shrinks the image until one pixel stands for one patch. Same shapes and errors as
    PatchEmbedding; patch_size must be 2, 4, 8 or 16.
    """

    def __init__(self, img_size: int = 32, patch_size: int = 4, in_chans: int = 3, embed_dim: int = 192):
        super().__init__()
        _check_patches(img_size, patch_size)
        pools = {2: (2, 1), 4: (2, 2), 8: (4, 2), 16: (4, 4)}
        if patch_size not in pools:
            raise ValueError(
                f"A conv stem halves the image step by step, so patch_size must be 2, 4, 8 or 16, got {patch_size}; "
                f'use one of those or stem="patch".'
            )
        self.img_size, self.in_chans = img_size, in_chans
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        widths = (in_chans, max(8, embed_dim // 4), max(8, embed_dim // 2), embed_dim)
        layers: list[nn.Module] = []
        for (narrow, wide), pool in zip(itertools.pairwise(widths), (*pools[patch_size], 1), strict=True):
            layers.append(nn.Conv2d(narrow, wide, kernel_size=3, padding=1, bias=False))  # BatchNorm shifts anyway
            if pool > 1:
                layers.append(nn.MaxPool2d(pool))
            layers += [nn.BatchNorm2d(wide), nn.ReLU()]
        self.convs = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, self.in_chans, self.img_size)
        # oneDNN and cuDNN run narrow 3x3 convolutions several times faster when the channels lie innermost.
        images = images.contiguous(memory_format=torch.channels_last)
        return self.convs(images).flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, h*w, D)


class Dropout(nn.Module):
    """Zeroes values at random while training (Srivastava et al. 2014), and scales the others by 1 / (1 - p).

    p: in [0, 1). generator: on the device of what comes in; None draws from torch's global one, which other threads
    may use, too. nn.Dropout and torch's fused attention take no generator.
    """

    def __init__(self, p: float = 0.0):
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    @property
    def active(self) -> bool:
        return self.training and self.p > 0

    def drop(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """One draw for each entry of shape, which x is broadcast over."""
        if not self.active:
            return x
        keep = x.new_empty(shape).bernoulli_(1 - self.p, generator=self.generator)
        return x * (keep / (1 - self.p))

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x, x.shape)


class Attention(nn.Module):
    """Multi-head self-attention (Eq. 5-8): softmax(q k^T / sqrt(D_head)) v in each head, then one projection.

    x: (B, N, D). Returns (B, N, D), and with return_attention also the maps (B, heads, N, N): rows are queries and
    sum to 1; they are taken after the softmax and before dropout. Raises ValueError unless num_heads divides dim.
    head_mask: (heads,), multiplies what each head hands to the projection; 0 switches a head off.
    queries: how many of the tokens, from the first, ask and are returned; by default all N.
    """

    def __init__(self, dim: int, num_heads: int = 3, qkv_bias: bool = True, drop_rate: float = 0.0):
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            fitting = [n for n in range(1, 17) if dim % n == 0]
            raise ValueError(
                f"embed_dim must be divisible by num_heads, got embed_dim={dim} and num_heads={num_heads}; "
                f"with this embed_dim use one of {fitting} heads."
            )
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.attn_drop = Dropout(drop_rate)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = Dropout(drop_rate)

    def forward(
        self,
        x: Tensor,
        return_attention: bool = False,
        head_mask: Tensor | None = None,
        queries: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        B, N, D = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.contiguous().unbind(0)  # each (B, heads, N, head_dim); one copy here saves one for each product
        q = q[:, :, :queries]
        if not return_attention and not self.attn_drop.active and _fused_is_faster(q):
            attn = None
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.transpose(-2, -1) * self.head_dim**-0.5  # (B, heads, N, N)
            attn = scores.softmax(dim=-1)
            out = self.attn_drop(attn) @ v  # (B, heads, N, head_dim)
        if head_mask is not None:
            out = out * head_mask.to(out)[:, None, None]
        out = self.proj_drop(self.proj(out.transpose(1, 2).reshape(B, -1, D)))
        return out if attn is None or not return_attention else (out, attn)


class MLP(nn.Module):
    """Two linear layers with an exact GELU between them, applied to each token alone. (B, N, D) -> (B, N, D)."""

    def __init__(self, dim: int, hidden_dim: int, drop_rate: float = 0.0):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.drop = Dropout(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class DropPath(Dropout):
    """Stochastic depth (Huang et al. 2016, arXiv:1603.09382): while training, skips a branch for some of the images."""

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x, (x.shape[0], 1, 1))


class LayerScale(nn.Module):
    """Multiplies each channel of a branch by a learned factor (Touvron et al. 2021, arXiv:2103.17239). Shapes stay."""

    def __init__(self, dim: int, init_values: float):
        super().__init__()
        self.init_values = init_values
        self.gamma = nn.Parameter(torch.empty(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class TransformerBlock(nn.Module):
    """A pre-norm encoder block (Eq. 2 and 3): x + MSA(LN(x)), then x + MLP(LN(x)).

    x: (B, N, D). Returns (B, N, D), and with return_attention also the maps (B, heads, N, N). head_mask: (heads,).
    queries: how many of the tokens, from the first, are updated and returned.
    init_values: where LayerScale of both branches starts; 0 leaves it out.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
        init_values: float = 0.0,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = Attention(dim, num_heads, qkv_bias, drop_rate)
        self.ls1 = LayerScale(dim, init_values) if init_values else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = MLP(dim, int(dim * mlp_ratio), drop_rate)
        self.ls2 = LayerScale(dim, init_values) if init_values else nn.Identity()
        self.drop_path = DropPath(drop_path)

    def forward(
        self,
        x: Tensor,
        return_attention: bool = False,
        head_mask: Tensor | None = None,
        queries: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        attended = self.attn(self.norm1(x), return_attention, head_mask, queries)
        attended, attn = attended if return_attention else (attended, None)
        x = x[:, :queries] + self.drop_path(self.ls1(attended))
        x = x + self.drop_path(self.ls2(self.mlp(self.norm2(x))))
        return x if attn is None else (x, attn)


class AttentionPooling(nn.Module):
    """One query that asks the patches and takes their mean, weighted by its attention: nothing else lies in between.

    Close to SimPool (Psomas et al. 2023, arXiv:2309.06891): the query is made of the mean of the patches, and values
    are the patches themselves, without a projection before or after; here in several heads, and with a learned token
    added to the mean. (timm's MAP head has a learned query alone, values of its own and an MLP.)
    x: (B, N, D), normalized tokens, of which the first `prefix` are no patches. token: (1, 1, D). head_mask: (heads,).
    Returns (B, 1, D) and the map (B, heads, 1, N), whose row sums to 1 and gives the prefix nothing.
    """

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, token: Tensor, prefix: int = 0, head_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        patches = x[:, prefix:]
        query = patches.mean(1, keepdim=True) + token
        q, k, v = (
            part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in (self.q(query), self.k(patches), x)
        )
        attn = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)  # (B, heads, 1, h*w)
        attn = F.pad(attn, (prefix, 0))
        out = attn @ v.to(attn)
        if head_mask is not None:
            out = out * head_mask.to(out)[:, None, None]
        return out.transpose(1, 2).flatten(2), attn


class Doubt(NamedTuple):
    """Below which of `Classifier.scores` a picture is like none of those learned from, and how often that is wrong.

    score: "energy" or "confidence". false_alarm: share of pictures of the model's own classes, held out, in [0, 1].
    """

    score: str
    threshold: float
    false_alarm: float


class Classifier(nn.Module):
    """What training, evaluation and studies ask of any model, beside its logits.

    config: the arguments it was built with, in_chans, img_size and num_classes among them. classes, mean, std say what
    the outputs are called and how the inputs were normalized (of pixels in [0, 1]); training and loading set them.
    temperature, above 0, is what `probabilities` divides logits by; a loss takes them as they are. doubt: when to say
    that a picture shows none of the classes; None where that was not fitted.
    trained says how it was trained: a dict that is saved in config.json.
    """

    config: dict[str, Any]
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...]
    std: tuple[float, ...]
    temperature: float = 1.0
    doubt: Doubt | None = None
    trained: dict[str, Any]
    has_attention = False

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config, self.trained = config, {}
        self.mean = self.std = (0.5,) * config["in_chans"]

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws all weights anew, the same from a generator of the same state; None is torch's global one."""
        raise NotImplementedError

    def prepare(self, images: Tensor) -> None:
        """Called once before training, with training images, normalized: sets what is computed and not learned."""

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of each class, (..., num_classes), by the fitted temperature (Guo et al. 2017, arXiv:1706.04599, Eq. 9)."""
        return (logits / self.temperature).softmax(dim=-1)

    def scores(self, logits: Tensor) -> dict[str, Tensor]:
        """How much (..., num_classes) look like pictures that were learned from, (...), larger is more so.

        energy: that of Liu et al. 2020 (arXiv:2010.03759, Eq. 4) with its sign turned, T logsumexp(logits / T).
        confidence: the largest probability (Hendrycks & Gimpel 2017, arXiv:1610.02136).
        """
        energy = self.temperature * (logits / self.temperature).logsumexp(-1)
        return {"energy": energy, "confidence": self.probabilities(logits).amax(-1)}

    def doubts(self, logits: Tensor) -> Tensor:
        """Where a picture is probably of none of the classes: bool (...); nowhere without a fitted `doubt`."""
        if self.doubt is None:
            return torch.zeros(logits.shape[:-1], dtype=torch.bool, device=logits.device)
        return self.scores(logits)[self.doubt.score] < self.doubt.threshold

    def normalize(self, images: Tensor) -> Tensor:
        """Pixels (..., C, H, W), uint8 or floats in [0, 1], as the model wants them: by its own mean and std."""
        return normalize(images, self.mean, self.std)

    def denormalize(self, images: Tensor) -> Tensor:
        """Back from `normalize` to uint8 pixels."""
        return denormalize(images, self.mean, self.std)

    def save_pretrained(self, folder: str | os.PathLike, dtype: torch.dtype | None = None) -> Path:
        """Writes weights, config.json and a card into a folder: `vit.weights.checkpoint.save_pretrained`."""
        from vit.weights.checkpoint import save_pretrained  # when called: the model itself needs nothing but torch

        return save_pretrained(self, folder, dtype)

    @classmethod
    def from_pretrained(cls: type[Model], source: str | os.PathLike, revision: str | None = None) -> Model:
        """The model of a folder, or of "owner/name" on the Hub: `vit.weights.checkpoint.from_pretrained`.

        Raises CheckpointError, a ValueError, where it is damaged, or a model of another kind than asked for.
        """
        from vit.weights.checkpoint import from_pretrained

        return from_pretrained(source, revision, cls)


GLOBAL_POOLS = ("token", "attn")


class ViT(Classifier):
    """A Vision Transformer: patches and a class token in, logits read from the class token out (Eq. 1-4).

    global_pool: what the head reads. "token" is the paper's class token. "attn": AttentionPooling after the last block,
        asked by the mean of the patches plus a class token that enters there and only asks; no class token is then
        among the tokens, and the last entry of the list of maps is the read-out, (B, heads, 1, N).
    reg_tokens: tokens that nothing reads in the end, where attention can put what is about no patch (Darcet et al.
        2023, arXiv:2309.16588).
    init_values: where each channel's factor on what a branch adds starts (LayerScale, as in DINOv2); 0, the default,
        leaves these factors out.

    norm_eps: 1e-6 is what the paper's code and timm use and so the default; torch's own LayerNorm, and with it much
        tutorial code, has 1e-5. Set it to what the weights were trained with.
    stem: "patch" is the paper's; "conv" puts ConvStem in its place.
    distilled: adds DeiT's second prefix token (arXiv:2012.12877) with a head of its own; the logits are the mean of
        both heads, which is how DeiT predicts.
    drop_rate: dropout on embeddings, attention, projections and MLPs. drop_path_rate: that of the last block; earlier
        ones rise to it linearly from 0.

    forward: images, normalized, (B, C, H, W) -> logits (B, num_classes); with return_attention=True also a list of L
    maps (B, heads, N, N), softmaxed, rows summing to 1, and then a read-out's. num_classes: 0 leaves the head out; the
    model then names nothing, its logits are (B, 0), and what a head would read is read_out's. head_mask: (num_maps,
    heads), 0 switches a head off. keep: (B, K) int64, the patches of each image that become tokens, all by default.
    each_head: logits are (1, B, num_classes), or (2, ...) if distilled, those of the class token's head first. Wrong
    sizes raise ValueError.
    """

    has_attention = True
    patch_embed: PatchEmbedding | ConvStem
    blocks: Sequence[TransformerBlock]  # an nn.ModuleList, which says nothing of what is in it

    def __init__(
        self,
        img_size: int = 32,
        patch_size: int = 4,
        in_chans: int = 3,
        num_classes: int = 10,
        embed_dim: int = 192,
        depth: int = 12,
        num_heads: int = 3,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
        stem: str = "patch",
        distilled: bool = False,
        global_pool: str = "token",
        reg_tokens: int = 0,
        init_values: float = 0.0,
    ):
        super().__init__(
            {
                "img_size": img_size,
                "patch_size": patch_size,
                "in_chans": in_chans,
                "num_classes": num_classes,
                "embed_dim": embed_dim,
                "depth": depth,
                "num_heads": num_heads,
                "mlp_ratio": mlp_ratio,
                "qkv_bias": qkv_bias,
                "drop_rate": drop_rate,
                "drop_path_rate": drop_path_rate,
                "norm_eps": norm_eps,
                "stem": stem,
                "distilled": distilled,
                "global_pool": global_pool,
                "reg_tokens": reg_tokens,
                "init_values": init_values,
            }
        )
        stems: dict[str, type[PatchEmbedding | ConvStem]] = {"patch": PatchEmbedding, "conv": ConvStem}
        for choice, choices in {"stem": stems, "global_pool": GLOBAL_POOLS}.items():
            if self.config[choice] not in choices:
                raise ValueError(f"{choice} must be one of {list(choices)}, got {self.config[choice]!r}.")
        for name, value in {"depth": depth, "embed_dim": embed_dim}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        for name, number in {"num_classes": num_classes, "reg_tokens": reg_tokens, "init_values": init_values}.items():
            if number < 0:
                raise ValueError(f"{name} must be 0 or more, got {number}.")
        if distilled and global_pool != "token":
            raise ValueError(
                f"A distillation token is read beside a class token: distilled=True needs global_pool='token', "
                f"got {global_pool!r}."
            )
        for name, rate in {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate}.items():
            if not 0 <= rate < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {rate}.")

        self.patch_embed = stems[stem](img_size, patch_size, in_chans, embed_dim)
        self.num_class_tokens = 0 if global_pool != "token" else 2 if distilled else 1
        self.num_prefix_tokens = self.num_class_tokens + reg_tokens
        num_tokens = self.num_prefix_tokens + self.grid_size[0] * self.grid_size[1]
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.dist_token = nn.Parameter(torch.empty(1, 1, embed_dim)) if distilled else None
        self.reg_token = nn.Parameter(torch.empty(1, reg_tokens, embed_dim)) if reg_tokens else None
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, embed_dim))
        self.pos_drop = Dropout(drop_rate)
        rates = [drop_path_rate * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.ModuleList(  # type: ignore[assignment]
            TransformerBlock(embed_dim, num_heads, mlp_ratio, qkv_bias, drop_rate, rate, norm_eps, init_values)
            for rate in rates
        )
        self.norm = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.attn_pool = AttentionPooling(embed_dim, num_heads) if global_pool == "attn" else None
        self.head = nn.Linear(embed_dim, num_classes) if num_classes else None
        self.head_dist = nn.Linear(embed_dim, num_classes) if num_classes and distilled else None
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws all weights anew, the same from a generator of the same state; None is torch's global one.

        Truncated normal 0.02 for linear layers, tokens and positions, as in timm; LeCun normal for the patch
        projection, as in the paper; torch's own start for the convolutions of a stem.
        """
        if self.pos_embed.is_meta:  # without memory there is nothing to draw, and torch takes a second to find that out
            return
        for module in self.modules():
            _init_weights(module, generator)
        for token in (self.cls_token, self.dist_token, self.reg_token, self.pos_embed):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02, generator=generator)

    @property
    def grid_size(self) -> tuple[int, int]:
        """(h, w), the grid of patches."""
        return self.patch_embed.grid_size

    @property
    def num_tokens(self) -> int:
        """N: prefix tokens and patches."""
        return self.pos_embed.shape[1]

    @property
    def num_heads(self) -> int:
        return self.config["num_heads"]

    @property
    def has_readout(self) -> bool:
        """Whether no class token is among the tokens, and the last of the maps is the read-out's."""
        return self.attn_pool is not None

    @property
    def num_maps(self) -> int:
        """Entries in the list of maps."""
        return len(self.blocks) + self.has_readout

    def embed(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """z_0 of Eq. 1: prefix tokens and patches, plus position embeddings. (B, C, H, W) -> (B, N, D).

        keep: (B, K) int64, which patches of each image to leave in (PatchDropout, Liu et al. 2022, arXiv:2208.07220).
        """
        x = self.patch_embed(images)
        first = (None if self.has_readout else self.cls_token, self.dist_token, self.reg_token)
        prefix = [token for token in first if token is not None]
        # Under autocast the patches are bfloat16: tokens that follow them halve the traffic between the blocks.
        B = x.shape[0]  # not len(x), which torch.jit.trace and torch.export would take for a constant
        x = torch.cat([*(token.to(x.dtype).expand(B, -1, -1) for token in prefix), x], dim=1)
        x = x + self.pos_embed.to(x.dtype)
        if keep is not None:
            kept = torch.arange(self.num_prefix_tokens, device=x.device).expand(B, -1)
            tokens = torch.cat([kept, keep + self.num_prefix_tokens], dim=1)
            x = x.gather(1, tokens[..., None].expand(-1, -1, x.shape[2]))
        return self.pos_drop(x)

    def read_out(self, x: Tensor, head_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """What the head is applied to, (B, 1, D), or (B, 2, D) if distilled, from the last block's tokens (B, N, D).

        Beside it the read-out's map, (B, heads, 1, N); None where the class token is one of the tokens.
        """
        if self.attn_pool is None:
            return self.norm(x[:, : self.num_class_tokens]), None
        return self.attn_pool(self.norm(x), self.cls_token, self.num_prefix_tokens, head_mask)

    def classify(self, x: Tensor, head_mask: Tensor | None = None) -> Tensor:
        """Logits from the last block's tokens (Eq. 4), (B, N, D) -> (B, num_classes).

        head_mask: (heads,), of a read-out.
        """
        return self.logits_of(self.read_out(x, head_mask)[0])

    def logits_of(self, x: Tensor) -> Tensor:
        """Logits from what the heads read, (B, tokens, D): if distilled, the mean of both heads'."""
        return self._heads(x)[0] if self.head_dist is None else self._heads(x).mean(0)

    def _heads(self, x: Tensor) -> Tensor:
        """What each head says of the token that is its own, (1, B, num_classes), or (2, ...) if distilled."""
        heads = [head for head in (self.head, self.head_dist) if head is not None]
        if not heads:
            return x.new_empty(1, len(x), 0)
        return torch.stack([head(x[:, i]) for i, head in enumerate(heads)])

    def forward(
        self,
        images: Tensor,
        return_attention: bool = False,
        head_mask: Tensor | None = None,
        keep: Tensor | None = None,
        each_head: bool = False,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        expected = (self.num_maps, self.num_heads)
        if head_mask is not None and head_mask.shape != expected:
            raise ValueError(f"head_mask must be (maps, heads) = {expected}, got {tuple(head_mask.shape)}.")
        masks = [None] * self.num_maps if head_mask is None else head_mask.unbind()
        x, maps, last = self.embed(images, keep), [], len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            # Only the class tokens are read in the end; without maps the last block leaves the others out.
            queries = None if i < last or return_attention or self.has_readout else self.num_class_tokens
            x = block(x, return_attention, masks[i], queries)
            if return_attention:
                x, attn = x
                maps.append(attn)
        read, attn = self.read_out(x, masks[-1])
        logits = self._heads(read) if each_head else self.logits_of(read)
        return (logits, maps if attn is None else [*maps, attn]) if return_attention else logits


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pixels (..., C, H, W), uint8 or floats in [0, 1], to mean 0 and standard deviation 1; mean, std: one a channel.

    uint8 becomes float32, floats keep their precision. Raises ValueError where the channels differ in number.
    """
    images = images if images.is_floating_point() else images.float() / 255
    return (images - _per_channel(mean, images)) / _per_channel(std, images)


def denormalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Back from `normalize` to uint8 pixels, rounded and clamped to [0, 255]."""
    return (unnormalize(images.float(), mean, std) * 255).round().clamp(0, 255).to(torch.uint8)


def unnormalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Back from `normalize` to floats, in [0, 1] where they were pixels."""
    return images * _per_channel(std, images) + _per_channel(mean, images)


def _per_channel(values: Sequence[float], images: Tensor) -> Tensor:
    if images.ndim < 3 or images.shape[-3] != len(values):
        raise ValueError(
            f"Expected images (..., {len(values)}, H, W), as there are {len(values)} values of mean and std, "
            f"got {tuple(images.shape)}."
        )
    constants = torch.tensor(values, dtype=images.dtype)
    sent = constants.to(images.device, non_blocking=images.is_cuda)  # MPS would read what is freed by then
    return sent.view(-1, 1, 1)


def _fused_is_faster(q: Tensor) -> bool:
    """Whether torch's fused attention, which never builds the maps, beats matmul + softmax + matmul for this q.

    On GPUs it does. On CPUs its kernel has no fast bfloat16 path, which makes it slower there; in float32 it wins.
    """
    return q.device.type != "cpu" or q.dtype == torch.float32


def _init_weights(module: nn.Module, generator: torch.Generator | None) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, PatchEmbedding):
        fan_in = module.proj.weight[0].numel()
        nn.init.trunc_normal_(module.proj.weight, std=fan_in**-0.5, generator=generator)
        if module.proj.bias is not None:
            nn.init.zeros_(module.proj.bias)
    elif isinstance(module, ConvStem):
        for conv in (layer for layer in module.convs if isinstance(layer, nn.Conv2d)):
            nn.init.kaiming_uniform_(conv.weight, a=5**0.5, generator=generator)
    elif isinstance(module, LayerScale):
        nn.init.constant_(module.gamma, module.init_values)
    elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
        module.reset_parameters()


def _check_patches(img_size: int, patch_size: int) -> None:
    if patch_size < 1 or img_size < 1 or img_size % patch_size:
        fitting = [p for p in (2, 4, 7, 8, 14, 16, 32) if p <= img_size and img_size % p == 0]
        raise ValueError(
            f"img_size must be divisible by patch_size, got img_size={img_size} and patch_size={patch_size}; "
            f"for this img_size use a patch_size such as {', '.join(map(str, fitting)) or img_size}."
        )


def check_images(images: Tensor, in_chans: int, img_size: int) -> None:
    expected = f"(B, {in_chans}, {img_size}, {img_size})"
    if images.ndim != 4:
        raise ValueError(
            f"Expected images of shape {expected}, got {tuple(images.shape)}; add the batch dimension "
            f"with images.unsqueeze(0) if it is one image."
        )
    if images.shape[1] != in_chans:
        raise ValueError(
            f"Expected {in_chans} channels, {expected}, got {tuple(images.shape)}; convert the images "
            f"or build the model with in_chans={images.shape[1]}."
        )
    if images.shape[2:] != (img_size, img_size):
        raise ValueError(
            f"Expected images of shape {expected}, got {tuple(images.shape)}; resize the images "
            f"to {img_size} x {img_size} or build the model with another img_size."
        )
