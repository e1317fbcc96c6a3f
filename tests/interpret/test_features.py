"""Features of patches: cosines and components by their definitions, and what few coordinates lose."""

import pytest
import torch
from sklearn.decomposition import PCA

from tests.conftest import KINDS, of_kind
from vit.interpret.features import cosines, in_components, patch_features, principal_components
from vit.interpret.trace import trace


def drawn(layers=2, patches=30, width=12):
    return torch.randn(layers, patches, width, generator=torch.Generator().manual_seed(0)) + 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_the_patches_after_each_layer_and_the_last_norm(kind):
    model = of_kind(kind)
    record = trace(model, torch.randn(1, 3, 32, 32))
    found = patch_features(model, record)
    assert found.shape == (len(model.blocks), 64, 24)
    last = model.norm(record.layers[-1].output)[0, model.num_prefix_tokens :]
    assert torch.equal(found[-1], last)
    with pytest.raises(ValueError, match="one picture, got 2"):
        patch_features(model, trace(model, torch.randn(2, 3, 32, 32)))


def test_cosines_are_torchs():
    features = drawn()
    expected = torch.nn.functional.cosine_similarity(features[:, :, None], features[:, None], dim=-1)
    torch.testing.assert_close(cosines(features), expected)


def test_enough_coordinates_lose_nothing_and_fewer_more():
    features = drawn()
    lost = [(in_components(features, n) @ in_components(features, n).mT - cosines(features)).norm() for n in (3, 6, 12)]
    assert lost[0] > lost[1] > lost[2] and lost[2] < 1e-4
    padded = in_components(features, 20)
    assert padded.shape == (2, 30, 20) and not padded[..., 12:].any()


def test_no_other_coordinates_of_that_number_are_nearer():
    features = drawn()
    best = in_components(features, 4) @ in_components(features, 4).mT
    units = torch.nn.functional.normalize(features, dim=-1)
    for seed in range(20):
        basis = torch.linalg.qr(torch.randn(12, 4, generator=torch.Generator().manual_seed(seed)))[0]
        other = units @ basis @ (units @ basis).mT
        assert (best - cosines(features)).norm() < (other - cosines(features)).norm()


def test_components_are_sklearns_but_for_the_sign_which_the_farthest_patch_has():
    features = drawn()
    found, shares = principal_components(features)
    for layer in range(2):
        theirs = PCA(3, svd_solver="full").fit(features[layer].numpy())
        expected = torch.from_numpy(theirs.transform(features[layer].numpy()))
        torch.testing.assert_close(found[layer].abs(), expected.abs(), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(shares[layer], torch.from_numpy(theirs.explained_variance_ratio_), atol=1e-5, rtol=0)
    farthest = found.gather(1, found.abs().argmax(1, keepdim=True))
    assert (farthest > 0).all()


def test_patches_that_are_all_the_same_have_no_components():
    found, shares = principal_components(torch.ones(1, 5, 4))
    assert not found.any() and not shares.any()
