"""A model run on purpose: relevance, the logit lens; and what probing leaves as it was."""

import pytest
import torch
from torch import nn

from tests.conftest import ROOT
from vit import ViT, vit_live, vit_live_patch
from vit.data import normalize
from vit.evaluation import evaluate
from vit.interpret import heads, probing
from vit.interpret.attention import attention_maps, rollout
from vit.interpret.trace import trace
from vit.training import TrainConfig, train


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(2, 3, 32, 32)


@pytest.fixture
def distilled():
    torch.manual_seed(0)
    model = vit_live_patch(embed_dim=24, depth=2, num_heads=3, distilled=True)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def last(generator):
    *_, final = generator
    return final


PROBES = {
    "relevance": lambda model, images, dataset: probing.relevance(model, images, [0, 1]),
    "head_importance": lambda model, images, dataset: last(heads.head_importance(model, dataset)),
    "head_regions": lambda model, images, dataset: last(heads.head_regions(model, dataset)),
    "logit_lens": lambda model, images, dataset: probing.logit_lens(model, trace(model, images)),
    "position_similarity": lambda model, images, dataset: probing.position_similarity(model),
    "patch_filters": lambda model, images, dataset: probing.patch_filters(model).zero_(),
}


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_probing_changes_nothing_about_the_model(probe, images, shapes):
    torch.manual_seed(0)
    model = vit_live(embed_dim=24, depth=2, num_heads=2, drop_rate=0.5).train()  # with BatchNorm and dropout
    model.blocks[0].eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = images.clone()
    probe(model, images, shapes.test.take(slice(3)))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all((parameter.grad == 1).all() and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(images, given) and not images.requires_grad


def test_relevance_in_one_layer_is_the_gradient_times_the_map(images):
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=1, num_heads=3).eval()
    attn = attention_maps(model, images)[1][:, 0].requires_grad_()  # (B, heads, N, N)
    x = model.embed(images)
    block = model.blocks[0]
    B, N, D = x.shape
    values = block.attn.qkv(block.norm1(x)).view(B, N, 3, 3, 8)[:, :, 2].transpose(1, 2)  # (B, heads, N, 8)
    x = x + block.attn.proj((attn @ values).transpose(1, 2).reshape(B, N, D))
    logits = model.classify(x + block.mlp(block.norm2(x)))
    for c in (0, 7):
        (gradient,) = torch.autograd.grad(logits[:, c].sum(), attn, retain_graph=True)
        expected = (gradient * attn).clamp_min(0).mean(1)[:, 0, 1:].view(B, 8, 8)
        torch.testing.assert_close(probing.relevance(model, images, [c])[:, 0], expected.detach(), rtol=1e-4, atol=1e-8)


def test_relevance_through_three_layers_is_chefers_rule_written_out(small_vit, images):
    logits, maps = small_vit(images, return_attention=True)
    gradients = torch.autograd.grad(logits[:, 4].sum(), maps)
    R = torch.eye(65).expand(2, 65, 65)
    for attn, gradient in zip(maps, gradients):
        R = R + (gradient * attn).clamp_min(0).mean(1) @ R
    expected = R[:, 0, 1:].view(2, 8, 8).detach()
    torch.testing.assert_close(probing.relevance(small_vit, images, [4])[:, 0], expected, rtol=1e-4, atol=1e-7)


def test_relevance_differs_between_classes_and_not_with_how_many_are_asked_for(small_vit, images):
    both = probing.relevance(small_vit, images, [3, 5])
    assert both.shape == (2, 2, 8, 8)
    assert (both >= 0).all() and both.any()
    assert not both.requires_grad
    torch.testing.assert_close(both[:, 1], probing.relevance(small_vit, images, [5])[:, 0])
    torch.testing.assert_close(both[1:], probing.relevance(small_vit, images[1:], [3, 5]), rtol=1e-4, atol=1e-7)
    assert not torch.allclose(both[:, 0], both[:, 1], rtol=0.1)


def test_relevance_needs_neither_trainable_weights_nor_gradients_switched_on(small_vit, images):
    expected = probing.relevance(small_vit, images, [2])
    small_vit.requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(probing.relevance(small_vit, images, [2]), expected)
    with torch.inference_mode():
        torch.testing.assert_close(probing.relevance(small_vit, images * 1, [2]), expected)


def test_a_distilled_models_relevance_is_the_mean_of_both_prefix_tokens_rows(distilled, images):
    logits, maps = distilled(images, return_attention=True)
    gradients = torch.autograd.grad(logits[:, 4].sum(), maps)
    R = torch.eye(66).expand(2, 66, 66)
    for attn, gradient in zip(maps, gradients):
        R = R + (gradient * attn).clamp_min(0).mean(1) @ R
    expected = R[:, :2, 2:].mean(1).view(2, 8, 8).detach()
    torch.testing.assert_close(probing.relevance(distilled, images, [4])[:, 0], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("which", ["small_vit", "distilled"])
def test_the_lens_ends_with_the_models_own_logits(which, images, request):
    model = request.getfixturevalue(which)
    record = trace(model, images)
    cls, patches = probing.logit_lens(model, record)
    L = len(model.blocks)
    assert cls.shape == (2, L, 10)
    assert patches.shape == (2, L, 64, 10)
    torch.testing.assert_close(cls[:, -1], model(images), atol=1e-5, rtol=0)
    first = record.layers[0].output
    torch.testing.assert_close(cls[:, 0], model.classify(first))
    torch.testing.assert_close(patches[:, 0], model.head(model.norm(first))[:, model.num_prefix_tokens :])
    assert not torch.allclose(cls[0, 0], cls[1, 0])  # it begins where the picture has a say


@pytest.mark.parametrize("which", ["small_vit", "distilled"])
def test_a_position_is_most_like_itself(which, request):
    model = request.getfixturevalue(which)
    similarity = probing.position_similarity(model)
    assert similarity.shape == (64, 8, 8)
    torch.testing.assert_close(similarity.flatten(1).diag(), torch.ones(64))
    assert (similarity.abs() <= 1 + 1e-6).all()
    a, b = model.pos_embed[0, -64], model.pos_embed[0, -64 + 10]
    assert similarity[0, 1, 2].item() == pytest.approx(torch.cosine_similarity(a, b, dim=0).item(), abs=1e-6)


def test_the_filters_are_those_that_meet_the_pixels():
    plain, conv = vit_live_patch(), vit_live()
    assert torch.equal(probing.patch_filters(plain), plain.patch_embed.proj.weight)
    assert torch.equal(probing.patch_filters(conv), conv.patch_embed.convs[0].weight)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, x: probing.relevance(m, x, [10]), ["0 to 9", "[10]"]),
        (lambda m, x: probing.relevance(m, x, [-1, 2]), ["0 to 9", "[-1, 2]"]),
        (lambda m, x: probing.relevance(m, x, []), ["at least one"]),
        (lambda m, x: probing.relevance(m, x[0], [1]), ["(B, 3, 32, 32)"]),
    ],
)
def test_what_is_not_there_is_refused(call, words, small_vit, images):
    with pytest.raises(ValueError) as error:
        call(small_vit, images)
    assert all(word in str(error.value) for word in words), error.value


CHECKPOINT = ROOT / "checkpoints" / "shapes"


@pytest.fixture(scope="module")
def trained(shapes):
    """The model that is shipped, where it knows its shapes; else one trained here."""
    if (CHECKPOINT / "config.json").exists():
        model = ViT.from_pretrained(CHECKPOINT).eval()
        if evaluate(model, shapes.test.take(slice(500))).accuracy > 0.9:
            return model
    torch.manual_seed(1)
    model = vit_live()
    last(train(model, shapes.train, TrainConfig(epochs=4, seed=1, precision="fp32")))
    return model


@torch.no_grad()
def drops_without_each_patch(model, image, c, ablation):
    """How far the logit of class c falls when one patch is taken away, for each patch: (h*w,).

    pixels: a square of the picture's mean color in its place. token: the mean content of the picture's patches in
    place of its own, its position kept. With the linear patch projection these are nearly one; a conv stem spreads the
    square's edges into the neighboring tokens.
    """
    (h, w), P, prefix = model.grid_size, model.config["patch_size"], model.num_prefix_tokens
    chosen = torch.eye(h * w, dtype=torch.bool)
    if ablation == "pixels":
        where = chosen.view(-1, 1, h, w).repeat_interleave(P, 2).repeat_interleave(P, 3)
        logits = model(torch.where(where, image.mean((2, 3), keepdim=True), image))
    else:
        x = model.embed(image).expand(h * w, -1, -1)
        positions = model.pos_embed[:, prefix:]
        content = (x[:1, prefix:] - positions).mean(1, keepdim=True)
        patches = torch.where(chosen[..., None], content + positions, x[:, prefix:])
        x = torch.cat([x[:, :prefix], patches], dim=1)
        for block in model.blocks:
            x = block(x)
        logits = model.classify(x)
    return model(image)[0, c] - logits[:, c]


def agreement(scores, drops, k=5):
    """Share of the k highest-scored patches whose loss lowers the logit, and Spearman's correlation over all."""
    ranks = torch.stack([scores, drops]).argsort(1).argsort(1).float()
    return (drops[scores.topk(k).indices] > 0).float().mean(), torch.corrcoef(ranks)[0, 1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("which", ["true class", "runner-up"])
def test_relevance_agrees_with_taking_patches_away_more_often_than_rollout_does(trained, shapes, which):
    pictures = shapes.test.take(slice(200, 400))
    pixels = normalize(pictures.images, trained.mean, trained.std)
    found = {}
    for ablation in ("token", "pixels"):
        by_relevance, by_rollout = [], []
        for image, label in zip(pixels.split(1), pictures.labels):
            logits, maps = attention_maps(trained, image)
            c = label.item() if which == "true class" else logits[0].topk(2).indices[1].item()
            drops = drops_without_each_patch(trained, image, c, ablation)
            rolled = rollout(maps)[0, -1, 0, trained.num_prefix_tokens :]
            by_relevance.append(agreement(probing.relevance(trained, image, [c]).flatten(), drops))
            by_rollout.append(agreement(rolled, drops))
        found[ablation] = torch.tensor([by_relevance, by_rollout])  # (method, n, (sign, rank))
        for name, (sign, rank) in zip(["relevance", "rollout"], found[ablation].mean(1).tolist()):
            print(f"{which}, {ablation} taken away, {len(pixels)} pictures: {name} sign {sign:.3f}, rank {rank:+.3f}")
    ablations = ["token", "pixels"] if trained.config["stem"] == "patch" else ["token"]
    for ablation in ablations:  # of squares of pixels before a conv stem nothing is claimed: they are new edges
        relevant, rolled = found[ablation]
        difference = relevant - rolled  # (n, (sign, rank)), paired
        assert (difference.mean(0) > 1.96 * difference.std(0) / len(difference) ** 0.5).all()
