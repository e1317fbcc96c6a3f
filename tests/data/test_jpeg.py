"""Quantization as in JPEG, against libjpeg's own encoder and decoder."""

import pytest
import torch
from torchvision.io import decode_image, encode_jpeg

from vit.data.jpeg import jpeg


@pytest.fixture
def pictures(shapes) -> torch.Tensor:
    return shapes.test.images[:50]


def saved(pictures: torch.Tensor, quality: int) -> torch.Tensor:
    return torch.stack([decode_image(encode_jpeg(picture, quality)) for picture in pictures]).float()


@pytest.mark.parametrize("quality", [95, 75, 50, 20])
@pytest.mark.parametrize("channels", [3, 1])
def test_it_takes_from_a_picture_what_libjpeg_does(pictures, quality, channels):
    pictures = pictures[:, :channels]
    ours, theirs = jpeg(pictures.float(), torch.full((50,), float(quality))), saved(pictures, quality)
    lost = (theirs - pictures).abs().mean()
    assert (ours - theirs).abs().mean() < 0.5 * lost
    assert (ours - pictures).abs().mean() == pytest.approx(lost.item(), rel=0.1)


def test_each_picture_has_its_own_quality_and_any_size(pictures):
    odd = pictures[:2, :, :27, :21].float()
    both = jpeg(odd, torch.tensor([90.0, 10.0]))
    assert both.shape == odd.shape
    for i, quality in enumerate((90.0, 10.0)):
        assert torch.allclose(both[i : i + 1], jpeg(odd[i : i + 1], torch.tensor([quality])), atol=1e-4)
