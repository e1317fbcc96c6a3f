"""What the benchmark compares with: the same ViT by other libraries, and the loop that tutorials train it in."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from vit.data import Dataset
from vit.model import Classifier, ViT

IMAGE, PATCH, WIDTH, DEPTH, HEADS, HIDDEN, CLASSES = 32, 4, 192, 12, 3, 768, 10  # ViT-Tiny/4, everybody's
WORKERS = 2  # of the usual loop's DataLoader


class Contender(Classifier):
    """A network of anybody's as this package's loop and evaluation want it; forward gives logits (B, classes)."""

    def __init__(self, network: nn.Module, logits: Callable[..., Tensor] = lambda network, images: network(images)):
        super().__init__({"in_chans": 3, "img_size": IMAGE, "num_classes": CLASSES})
        self.network, self.logits = network, logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.network, images)


class TutorialAttention(nn.Module):
    """Attention as tutorials write it out: every map is built, and returned whether or not anybody wants it."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        B, N, D = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        maps = (q @ k.transpose(-2, -1) * (D // HEADS) ** -0.5).softmax(dim=-1)
        return self.proj((maps @ v).transpose(1, 2).reshape(B, N, D)), maps


class TutorialBlock(nn.Module):
    """A pre-norm block whose norms have torch's own epsilon, 1e-5. Returns the tokens and the maps."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = TutorialAttention()
        layers = {"fc1": nn.Linear(WIDTH, HIDDEN), "act": nn.GELU(), "fc2": nn.Linear(HIDDEN, WIDTH)}
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        attended, maps = self.attn(self.norm1(x))
        x = x + attended
        return x + self.mlp(self.norm2(x)), maps


class TutorialViT(nn.Module):
    """ViT-Tiny/4 in the structure that tutorials give it; forward returns the logits and every layer's maps.

    Rebuilt from a description, as one of those from whom people come; its parameters are called as ours are.
    """

    def __init__(self):
        super().__init__()
        patches = (IMAGE // PATCH) ** 2
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, PATCH, PATCH)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + patches, WIDTH))
        self.blocks = nn.ModuleList(TutorialBlock() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.patch_embed["proj"](images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        maps = []
        for block in self.blocks:
            x, attn = block(x)
            maps.append(attn)
        return self.head(self.norm(x)[:, 0]), maps


def _ours() -> Contender:
    return Contender(ViT(IMAGE, PATCH, 3, CLASSES, WIDTH, DEPTH, HEADS))


def _tutorial() -> Contender:
    return Contender(TutorialViT(), lambda network, images: network(images)[0])


def _timm() -> Contender:
    from timm.models.vision_transformer import VisionTransformer

    return Contender(
        VisionTransformer(
            img_size=IMAGE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, num_classes=CLASSES
        )
    )


def _vit_pytorch() -> Contender:
    from vit_pytorch import ViT as Theirs

    shape = {"image_size": IMAGE, "patch_size": PATCH, "dim": WIDTH, "depth": DEPTH, "heads": HEADS}
    return Contender(Theirs(**shape, mlp_dim=HIDDEN, dim_head=WIDTH // HEADS, num_classes=CLASSES))


def _transformers() -> Contender:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        image_size=IMAGE,
        patch_size=PATCH,
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=HIDDEN,
        num_labels=CLASSES,  # type: ignore[call-arg]
    )
    return Contender(ViTForImageClassification(config), lambda network, images: network(images).logits)


def _torchvision() -> Contender:
    from torchvision.models import VisionTransformer

    return Contender(VisionTransformer(IMAGE, PATCH, DEPTH, HEADS, WIDTH, HIDDEN, num_classes=CLASSES))


CONTENDERS: dict[str, Callable[[], Contender]] = {  # each raises ImportError where its library is not installed
    "ours": _ours,
    "tutorial": _tutorial,
    "timm": _timm,
    "vit-pytorch": _vit_pytorch,
    "transformers": _transformers,
    "torchvision": _torchvision,
}


class _Pictures(torch.utils.data.Dataset):
    """The images as PIL pictures, one at a time through torchvision's transforms, as in torchvision.datasets."""

    def __init__(self, dataset: Dataset):
        from torchvision import transforms

        self.images, self.labels = dataset.images.permute(0, 2, 3, 1).contiguous().numpy(), dataset.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(IMAGE, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(dataset.mean, dataset.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def usual_batches(dataset: Dataset, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented, normalized (images, labels) from a DataLoader with worker processes, epoch after epoch."""
    loader = torch.utils.data.DataLoader(
        _Pictures(dataset), batch_size, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )
    while True:
        yield from loader


class UsualLoop:
    """A step of the loop that tutorials have: AdamW with 3e-4 and 0.1 for all weights, the loss read every step."""

    def __init__(self, model: nn.Module, device: torch.device, bfloat16: bool):
        self.model, self.device, self.bfloat16 = model.to(device).train(), device, bfloat16
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)

    def step(self, images: Tensor, labels: Tensor) -> float:
        images, labels = images.to(self.device), labels.to(self.device)
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else contextlib.nullcontext():
            loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()
