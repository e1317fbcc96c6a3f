"""The architecture: exact sizes, laws of attention, parity with timm, and errors that say what to do."""

import inspect
import threading

import pytest
import timm
import torch

from vit import MLP, Attention, ConvStem, PatchEmbedding, TransformerBlock, ViT, create_model, model, vit_tiny


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("vit_tiny", 5_362_762), ("vit_small", 21_342_346), ("vit_base", 86_567_656), ("vit_large", 304_326_632)],
)
def test_parameter_counts(name, parameters):
    with torch.device("meta"):
        built = create_model(name)
    assert sum(p.numel() for p in built.parameters()) == parameters


@pytest.mark.parametrize("shape", [{}, {"img_size": 48, "patch_size": 8, "embed_dim": 96, "num_heads": 4}])
@pytest.mark.parametrize("distilled", [False, True])
def test_timm_weights_load_unchanged_and_give_the_same_logits_and_maps(shape, distilled):
    shape = {"img_size": 32, "patch_size": 4, "embed_dim": 64, "depth": 3, "num_heads": 2, "num_classes": 7} | shape
    torch.manual_seed(0)
    kind = timm.models.deit.VisionTransformerDistilled if distilled else timm.models.VisionTransformer
    theirs = kind(**shape).eval()
    for parameter in theirs.parameters():  # timm starts with an all but zero class token and zero biases
        torch.nn.init.normal_(parameter, std=0.2)
    ours = ViT(**shape, distilled=distilled).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, shape["img_size"], shape["img_size"])

    their_maps = []
    for block in theirs.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: their_maps.append(inputs[0]))
    with torch.no_grad():
        logits, maps = ours(images, return_attention=True)
        expected = theirs(images)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    assert len(maps) == len(their_maps) == 3
    for ours_layer, theirs_layer in zip(maps, their_maps):
        torch.testing.assert_close(ours_layer, theirs_layer, atol=1e-5, rtol=0)


def test_state_dict_names_are_timms():
    ours = vit_tiny(depth=2).state_dict()
    theirs = timm.models.VisionTransformer(img_size=32, patch_size=4, embed_dim=192, depth=2, num_heads=3).state_dict()
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("fused", [True, False])
def test_the_fast_path_equals_the_explicit_one_in_values_and_gradients(small_vit, monkeypatch, fused):
    monkeypatch.setattr(model, "_fused_is_faster", lambda q: fused)
    images = torch.randn(4, 3, 32, 32)
    gradients = []
    outputs = [small_vit(images), small_vit(images, return_attention=True)[0]]
    for logits in outputs:
        small_vit.zero_grad()
        logits.square().sum().backward()
        gradients.append(small_vit.blocks[0].attn.qkv.weight.grad.clone())
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-4)


def test_maps_have_the_contracts_shape_and_rows_sum_to_one(small_vit):
    logits, maps = small_vit(torch.randn(2, 3, 32, 32), return_attention=True)
    assert logits.shape == (2, 10)
    assert [tuple(layer.shape) for layer in maps] == [(2, 3, 65, 65)] * 3
    for layer in maps:
        torch.testing.assert_close(layer.sum(-1), torch.ones(2, 3, 65))
        assert layer.min() >= 0


def test_maps_are_taken_before_dropout():
    attention = Attention(dim=8, num_heads=2, drop_rate=0.5).train()
    _, attn = attention(torch.randn(3, 5, 8), return_attention=True)
    torch.testing.assert_close(attn.sum(-1), torch.ones(3, 2, 5))


def test_attention_without_positions_does_not_know_the_order_of_tokens():
    block = TransformerBlock(dim=16, num_heads=4).eval()
    x, order = torch.randn(2, 9, 16), torch.randperm(9)
    torch.testing.assert_close(block(x)[:, order], block(x[:, order]), atol=1e-5, rtol=1e-5)


def test_patch_embedding_is_one_linear_map_of_each_patch():
    embedding = PatchEmbedding(img_size=8, patch_size=4, embed_dim=6)
    images = torch.randn(2, 3, 8, 8)
    second = images[:, :, 0:4, 4:8].flatten(1)  # patches are counted row by row
    expected = second @ embedding.proj.weight.flatten(1).T + embedding.proj.bias
    torch.testing.assert_close(embedding(images)[:, 1], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("patch_size", [2, 4, 8, 16])
def test_conv_stem_has_the_patch_embeddings_shape(patch_size):
    images = torch.randn(2, 3, 32, 32)
    stem, patches = (kind(32, patch_size, 3, 32) for kind in (ConvStem, PatchEmbedding))
    assert stem(images).shape == patches(images).shape
    assert stem.grid_size == patches.grid_size == (32 // patch_size, 32 // patch_size)


@pytest.mark.parametrize("distilled", [False, True])
def test_patches_left_out_are_as_if_never_there(distilled):
    model = ViT(embed_dim=24, depth=2, num_heads=3, distilled=distilled).eval()
    images, keep = torch.randn(2, 3, 32, 32), torch.tensor([[5, 63], [0, 7]])
    tokens = model.embed(images, keep)
    prefix = model.num_prefix_tokens
    assert tokens.shape == (2, prefix + 2, 24)
    for i in range(2):
        assert torch.equal(tokens[i, prefix:], model.embed(images)[i, prefix + keep[i]])
    changed = images.clone()
    changed[:, :, 16:20, :16] = 0  # patches 32 to 35, which neither keeps
    torch.testing.assert_close(model(changed, keep=keep), model(images, keep=keep))
    everything = torch.arange(64).expand(2, -1)
    torch.testing.assert_close(model(images, keep=everything), model(images))


def test_the_last_block_computes_only_what_is_read(small_vit):
    outputs = []
    small_vit.blocks[-1].register_forward_hook(lambda block, inputs, output: outputs.append(output))
    images = torch.randn(2, 3, 32, 32)
    logits, _ = small_vit(images, return_attention=True)
    torch.testing.assert_close(small_vit(images), logits)
    assert [outputs[0][0].shape[1], outputs[1].shape[1]] == [65, 1]


@pytest.mark.parametrize("return_attention", [True, False])
def test_a_head_switched_off_equals_zeroing_its_slice_of_projs_input(small_vit, return_attention):
    images, mask = torch.randn(2, 3, 32, 32), torch.ones(3, 3)
    mask[1, 2] = 0
    masked = small_vit(images, return_attention, head_mask=mask)
    small_vit.blocks[1].attn.proj.register_forward_pre_hook(lambda m, x: x[0] * (torch.arange(24) < 16))
    torch.testing.assert_close(masked[0] if return_attention else masked, small_vit(images))
    with pytest.raises(ValueError, match=r"\(3, 3\), got \(2, 3\)"):
        small_vit(images, head_mask=mask[:2])


def test_drop_path_keeps_the_expected_value_and_is_off_in_eval_mode():
    torch.manual_seed(0)
    drop, x = model.DropPath(0.5), torch.ones(20_000, 1, 1)
    kept = drop.train()(x)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert kept.mean() == pytest.approx(1, abs=0.03)
    assert torch.equal(drop.eval()(x), x)
    assert [block.drop_path.p for block in ViT(depth=3, drop_path_rate=0.2).blocks] == [0.0, 0.1, 0.2]


def test_norm_eps_reaches_every_norm():
    norms = [m for m in ViT(depth=2, norm_eps=1e-5).modules() if isinstance(m, torch.nn.LayerNorm)]
    assert len(norms) == 5
    assert {norm.eps for norm in norms} == {1e-5}
    assert ViT(depth=1).norm.eps == 1e-6


def test_starting_weights():
    vit = vit_tiny(depth=1)
    for weight in (vit.cls_token, vit.pos_embed, vit.blocks[0].mlp.fc1.weight, vit.head.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not vit.blocks[0].attn.qkv.bias.any()


def test_mlp_uses_the_exact_gelu():
    assert MLP(4, 8).act.approximate == "none"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ViT(embed_dim=100, num_heads=3), ["embed_dim=100", "num_heads=3", "[1, 2, 4, 5, 10]"]),
        (lambda: ViT(img_size=32, patch_size=5), ["img_size=32", "patch_size=5", "2, 4, 8, 16"]),
        (lambda: ViT(img_size=9, patch_size=3, stem="conv"), ["got 3", 'stem="patch"']),
        (lambda: ViT(stem="convolution"), ["'convolution'", "patch", "conv"]),
        (lambda: ViT(depth=0), ["depth", "at least 1", "got 0"]),
        (lambda: ViT(embed_dim=0), ["embed_dim", "at least 1", "got 0"]),
        (lambda: ViT(drop_path_rate=1.0), ["drop_path_rate", "below 1", "got 1.0"]),
        (lambda: create_model("vit_huge"), ["'vit_huge'", "vit_tiny", "vit_large"]),
        (lambda: vit_tiny(depth=1)(torch.zeros(1, 3, 224, 224)), ["(1, 3, 224, 224)", "(B, 3, 32, 32)", "resize"]),
        (lambda: vit_tiny(depth=1)(torch.zeros(1, 1, 32, 32)), ["3 channels", "(1, 1, 32, 32)", "in_chans=1"]),
        (lambda: vit_tiny(depth=1)(torch.zeros(3, 32, 32)), ["(3, 32, 32)", "unsqueeze(0)"]),
    ],
)
def test_wrong_sizes_say_what_came_what_was_expected_and_the_remedy(build, words):
    with pytest.raises(ValueError) as error:
        build()
    assert all(word in str(error.value) for word in words), error.value


def test_the_configuration_is_the_constructors_arguments():
    odd = {"img_size": 16, "patch_size": 8, "in_chans": 1, "num_classes": 3, "embed_dim": 12, "depth": 1}
    odd |= {"num_heads": 2, "mlp_ratio": 1.5, "qkv_bias": False, "drop_rate": 0.1, "drop_path_rate": 0.2}
    odd |= {"norm_eps": 1e-5, "stem": "conv", "distilled": True, "reg_tokens": 2, "global_pool": "token"}
    odd |= {"init_values": 0.1}
    assert odd.keys() == inspect.signature(ViT).parameters.keys()
    assert ViT(**odd).config == odd
    read_out = odd | {"distilled": False, "global_pool": "attn"}
    assert ViT(**read_out).config == read_out


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_pixels_are_normalized_by_the_models_own_mean_and_std_and_back(channels):
    model = ViT(in_chans=channels, embed_dim=8, depth=1, num_heads=1)
    model.mean, model.std = [tuple(start + 0.1 * c for c in range(channels)) for start in (0.2, 0.3)]
    pixels = torch.randint(256, (2, channels, 32, 32), dtype=torch.uint8)
    images = model.normalize(pixels)
    assert images.dtype == torch.float32
    last = (pixels[:, -1].float() / 255 - model.mean[-1]) / model.std[-1]
    assert torch.allclose(images[:, -1], last, atol=1e-6)
    assert torch.allclose(model.normalize(pixels.double() / 255), images.double(), atol=1e-6)
    assert torch.allclose(model.normalize(pixels[0]), images[0]), "one picture, too"
    assert model.denormalize(images).equal(pixels)
    with pytest.raises(ValueError, match=f"{channels} values of mean and std"):
        model.normalize(torch.zeros(2, channels + 1, 32, 32))


@pytest.mark.parametrize("shape", [{}, {"stem": "patch", "distilled": True}])
def test_a_model_is_the_same_for_the_same_seed_whatever_other_threads_draw(shape):
    """Forty builds beside a thread that draws from, and reseeds, torch's global generator."""
    ended = threading.Event()

    def draw():
        while not ended.is_set():
            torch.manual_seed(0)
            torch.rand(100)

    def build(seed):
        model = create_model("vit_live", torch.Generator().manual_seed(seed), embed_dim=24, depth=1, **shape)
        return torch.cat([parameter.flatten() for parameter in model.parameters()])

    alone = build(1)
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert all(build(1).equal(alone) for _ in range(40))
    finally:
        ended.set()
        thread.join()
    assert not build(2).equal(alone)


def test_weights_drawn_anew_have_the_same_spread_and_start_from_nothing():
    vit, generator = ViT(stem="conv", depth=1), torch.Generator().manual_seed(0)
    before = {name: value.std().item() for name, value in vit.state_dict().items() if value.is_floating_point()}
    for parameter in vit.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    vit.reset_parameters(generator)
    after = {name: value.std().item() for name, value in vit.state_dict().items() if value.is_floating_point()}
    assert after == pytest.approx(before, rel=0.15)


def test_dropout_draws_from_the_generator_it_has():
    drop, x = model.Dropout(0.3).train(), torch.ones(10_000)
    drop.generator = torch.Generator().manual_seed(3)
    first = drop(x)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.7]) and first.mean() == pytest.approx(1, abs=0.03)
    assert not drop(x).equal(first)
    drop.generator.manual_seed(3)
    torch.manual_seed(4)
    assert drop(x).equal(first)
    assert drop.eval()(x).equal(x)
