"""Laws of batched augmentation."""

import pytest
import torch

from vit.data.augment import color_jitter, cutmix, degrade, mixup, random_erasing
from vit.data.jpeg import jpeg
from vit.model import normalize


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Every image has one value everywhere, its number; its target is that number too."""
    numbers = torch.arange(8)
    return numbers.float().view(8, 1, 1, 1).expand(8, 3, 16, 16).clone(), torch.eye(8)


@pytest.mark.parametrize("seed", range(20))
def test_targets_say_what_is_in_the_picture(batch, seed):
    images, targets = batch
    for mix in (mixup, cutmix):
        mixed, soft = mix(images, targets, 1.0, seeded(seed))
        torch.testing.assert_close(soft.sum(1), torch.ones(8))
        # The mean pixel is the mean of numbers, weighted by the target.
        torch.testing.assert_close(mixed.mean((1, 2, 3)), soft @ torch.arange(8.0), atol=1e-5, rtol=1e-5)
        assert ((soft > 0).sum(1) <= 2).all()


def test_mixup_blends_and_cutmix_pastes_one_box(batch):
    images, targets = batch
    mixed, _ = mixup(images, targets, 1.0, seeded())
    assert (mixed.amax((1, 2, 3)) == mixed.amin((1, 2, 3))).all()
    pasted, soft = cutmix(images, targets, 1.0, seeded())
    for i in range(8):
        foreign = (pasted[i, 0] != i).nonzero()
        if len(foreign):
            rows, columns = foreign.amax(0) - foreign.amin(0) + 1
            assert rows * columns == len(foreign)
            assert soft[i, i].item() == pytest.approx(1 - len(foreign) / 256)


def test_a_small_alpha_hardly_mixes_and_at_one_the_share_is_uniform(batch):
    def larger_shares(alpha):
        soft = torch.cat([mixup(*batch, alpha, seeded(seed))[1] for seed in range(100)])
        return soft[(soft > 0).sum(1) == 2].amax(1)

    assert (larger_shares(0.05) > 0.98).float().mean() > 0.7
    assert larger_shares(1.0).mean().item() == pytest.approx(0.75, abs=0.03)  # of u and 1 - u


def test_erasing_takes_a_box_of_the_promised_size_from_the_promised_share_of_images():
    images = torch.full((2000, 3, 32, 32), 7.0)
    erased = (random_erasing(images, 0.25, seeded()) != 7).all(1)
    areas = erased.flatten(1).sum(1)
    assert (areas > 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    hit = areas[areas > 0] / 1024
    assert 0.01 < hit.min() < 0.05
    assert 0.28 < hit.max() < 0.36
    assert torch.equal(random_erasing(images, 0.0, seeded()), images)


def test_color_jitter_changes_colors_and_leaves_edges_where_they_are():
    images = torch.randn(4, 3, 8, 8)
    assert torch.allclose(color_jitter(images, 0.0, seeded()), images, atol=1e-6)
    changed = color_jitter(images, 0.4, seeded())
    for before, after in zip(images.mean(1).flatten(1), changed.mean(1).flatten(1)):
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.999
    assert (changed - images).abs().mean() > 0.05


def test_same_generator_same_draws_and_inputs_stay(batch):
    images, targets = batch
    before = images.clone()
    for augment in (mixup, cutmix):
        first, second = (augment(images, targets, 0.8, seeded(3)) for _ in range(2))
        assert torch.equal(first[0], second[0])
    for augment in (random_erasing, color_jitter):
        assert torch.equal(augment(images, 0.5, seeded(3)), augment(images, 0.5, seeded(3)))
    assert torch.equal(images, before)


def test_degraded_pictures_are_blurred_noisy_or_saved_as_jpeg_and_the_others_untouched():
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 255, 32).expand(32, 32)  # blur keeps a ramp but at its ends, noise does not
    images = torch.stack([ramp, ramp.T, ramp.flip(0)]).round().to(torch.uint8).expand(600, -1, -1, -1)
    worse = degrade(images, 0.6, generator)
    assert worse.min() >= 0 and worse.max() <= 1
    changed = (worse - images / 255).abs().amax((1, 2, 3)) > 1e-6
    assert 0.54 < changed.float().mean() < 0.66
    inner = (worse - images / 255)[changed][:, :, 6:-6, 6:-6]
    roughness = inner.diff(dim=3).std((1, 2, 3))
    assert 0.2 < (roughness > 0.02).float().mean() < 0.45  # noise, mostly
    assert 0.2 < (inner.abs().amax((1, 2, 3)) < 0.004).float().mean() < 0.45  # blur
    assert torch.equal(degrade(images, 0.0, generator), images / 255)


def test_only_cuda_is_sent_what_it_may_read_later(monkeypatch):
    """Apple's GPU would read memory that was freed meanwhile; a CPU stands for all others."""
    sent, to = [], torch.Tensor.to

    def watched(tensor, *where, non_blocking=False, **more):
        sent.append(non_blocking)
        return to(tensor, *where, **more)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    pixels = torch.zeros(2, 3, 16, 16)
    normalize(pixels, (0.5,) * 3, (0.3,) * 3)
    color_jitter(pixels, 0.5, seeded())
    jpeg(pixels, torch.full((2,), 50.0))
    assert len(sent) > 5 and not any(sent)
