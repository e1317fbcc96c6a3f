"""Distillation: the loss by hand, a teacher of any mean, std and size, answers kept for the next run, bad input."""

import math

import pytest
import torch
import torch.nn.functional as F

from vit import CNN, ViT
from vit.training import TrainConfig, train
from vit.training.distill import Answers, Teacher, distillation_loss
from vit.training.setting import WrongSetting
from vit.training.spec import RunSpec

SETTINGS = {"epochs": 2, "batch_size": 20, "label_smoothing": 0.0, "distill": "hard"}


def config(**changes) -> TrainConfig:
    return TrainConfig(**{**SETTINGS, **changes})


@pytest.fixture
def part(shapes):
    return shapes.train.take(slice(60))


def student(part) -> ViT:
    model = ViT(patch_size=8, embed_dim=16, depth=2, num_heads=2, distilled=True)
    model.reset_parameters(torch.Generator().manual_seed(0))
    model.classes, model.mean, model.std = part.classes, part.mean, part.std
    return model


@pytest.fixture
def teacher(part):
    model = CNN(width=8)
    model.reset_parameters(torch.Generator().manual_seed(1))
    model.classes, model.mean, model.std = part.classes, part.mean, part.std
    return model.eval()


def test_hard_and_soft_are_what_the_equations_say():
    heads = torch.tensor([[[0.0, math.log(3)]], [[0.0, 0.0]]])  # class head: 1/4 and 3/4; distillation head: even
    targets, answers = torch.tensor([[1.0, 0.0]]), torch.tensor([[2 * math.log(4), 0.0]])
    hard = distillation_loss(heads, targets, answers, config(distill_alpha=0.25))
    assert hard.item() == pytest.approx(0.75 * math.log(4) + 0.25 * math.log(2))
    # softened by 2 the teacher says 4/5 and 1/5: KL(teacher, even) = ln 2 - H(4/5, 1/5)
    soft = distillation_loss(heads, targets, answers, config(distill="soft", distill_alpha=0.25, distill_tau=2.0))
    divergence = math.log(2) + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
    assert soft.item() == pytest.approx(0.75 * math.log(4) + 0.25 * 4 * divergence)


def test_a_head_moves_by_its_own_target_alone():
    heads = torch.randn(2, 5, 3, requires_grad=True)
    targets, answers = F.one_hot(torch.arange(5) % 3, 3).float(), torch.randn(5, 3)
    for alpha, still in ((0.0, 1), (1.0, 0)):
        (gradient,) = torch.autograd.grad(
            distillation_loss(heads, targets, answers, config(distill_alpha=alpha)), heads
        )
        assert gradient[still].abs().max() == 0 < gradient[1 - still].abs().max()


def test_the_heads_are_averaged_at_inference_only(part):
    model, images = student(part), torch.randn(3, 3, 32, 32)
    both = model(images, each_head=True)
    assert both.shape == (2, 3, 10) and not torch.equal(*both)
    assert torch.equal(model(images), both.mean(0))
    plain = ViT(patch_size=8, embed_dim=16, depth=1, num_heads=2)
    assert torch.equal(plain(images, each_head=True)[0], plain(images))


@pytest.mark.parametrize("way", ["hard", "soft"])
def test_a_student_comes_to_say_what_its_teacher_says(part, teacher, way):
    """The labels have no share, so only the teacher can have taught it; the teacher itself is left as it was."""
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    settings = config(distill=way, distill_alpha=1.0, epochs=40, crop=0, flip=False, patch_dropout=0.0, lr=1e-2)
    model = student(part)
    list(train(model, part, settings, teacher=teacher))
    with torch.no_grad():
        images = model.normalize(part.images)
        agreed = (model(images, each_head=True)[1].argmax(1) == teacher(images).argmax(1)).float().mean()
    assert agreed > 0.9
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


def test_a_teacher_sees_the_same_pixels_by_its_own_mean_std_and_size(part, teacher):
    model = student(part)
    model.mean, model.std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    images = model.normalize(part.images[:4])
    answers = Teacher(teacher, model, part, config()).answer(images, 0)
    assert torch.allclose(answers, teacher(teacher.normalize(part.images[:4])), atol=1e-4)
    small = CNN(img_size=16, width=8).eval()
    small.classes, small.mean, small.std = part.classes, model.mean, model.std
    half = F.interpolate(images, (16, 16), mode="bilinear", antialias=True)
    assert torch.allclose(Teacher(small, model, part, config()).answer(images, 0), small(half), atol=1e-5)


def test_kept_answers_give_the_same_run_without_asking_the_teacher(part, teacher, tmp_path, monkeypatch):
    def losses():
        steps = train(student(part), part, config(), teacher=teacher, answers=tmp_path / "answers")
        return [progress.loss for progress in steps]

    monkeypatch.setattr(Answers, "STEPS", 4)  # six steps, so two files
    first = losses()
    assert len(list((tmp_path / "answers").glob("*.safetensors"))) == 2
    asked = []
    teacher.register_forward_hook(lambda *_: asked.append(True))
    assert losses() == pytest.approx(first, rel=1e-3)  # float16, and only hard choices matter
    assert not asked


def test_a_run_cut_short_leaves_what_was_answered(part, teacher, tmp_path):
    steps = train(student(part), part, config(), teacher=teacher, answers=tmp_path)
    next(steps)
    steps.close()
    asked = []
    teacher.register_forward_hook(lambda *_: asked.append(True))
    list(train(student(part), part, config(), teacher=teacher, answers=tmp_path))
    assert len(asked) == 5  # of six steps


@pytest.mark.parametrize("other", ["teacher", "seed", "data"])
def test_answers_to_other_questions_are_refused_by_name(part, teacher, tmp_path, other):
    list(train(student(part), part, config(), teacher=teacher, answers=tmp_path))
    if other == "teacher":
        with torch.no_grad():
            teacher.head.bias += 1
    data = part.take(torch.arange(59, -1, -1)) if other == "data" else part
    settings = config(seed=1) if other == "seed" else config()
    with pytest.raises(ValueError, match=f"are of another {other}, .*; name another folder"):
        list(train(student(part), data, settings, teacher=teacher, answers=tmp_path))


def test_a_damaged_file_of_answers_is_named(part, teacher, tmp_path):
    (tmp_path / "answers-00000.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"answers-00000.safetensors holds no answers of a teacher"):
        next(train(student(part), part, config(), teacher=teacher, answers=tmp_path))


def test_a_teacher_of_other_classes_or_channels_is_refused_by_name(part, teacher):
    teacher.classes = (*part.classes[:-1], "unicorn")
    with pytest.raises(ValueError, match="unicorn apart, and the student is to learn"):
        next(train(student(part), part, config(), teacher=teacher))
    grey = CNN(in_chans=1, width=8)
    grey.classes = part.classes
    with pytest.raises(ValueError, match="takes images of 1 channels"):
        next(train(student(part), part, config(), teacher=grey))


@pytest.mark.parametrize("what", ["no teacher", "no way", "neither"])
def test_teacher_and_way_come_together_and_a_second_head_needs_both(part, teacher, what):
    settings = config() if what == "no teacher" else config(distill=None)
    with pytest.raises(ValueError, match="a distilled model needs one"):
        next(train(student(part), part, settings, teacher=teacher if what == "no way" else None))


@pytest.mark.parametrize("pool", ["token", "attn"])
def test_a_model_with_one_head_learns_from_labels_and_teacher_with_it(part, teacher, pool):
    def trained(alpha: float) -> ViT:
        model = ViT(patch_size=8, embed_dim=16, depth=2, num_heads=2, global_pool=pool)
        model.reset_parameters(torch.Generator().manual_seed(0))
        settings = config(distill="soft", distill_alpha=alpha, distill_tau=1.0, epochs=20, crop=0, flip=False)
        for _ in train(model, part, settings, teacher=teacher):
            pass
        return model

    images = teacher.normalize(part.images)
    apart = []
    for alpha in (0.0, 1.0):
        model = trained(alpha)
        with torch.no_grad():
            says = model(images).log_softmax(1)
            apart.append(F.kl_div(says, teacher(images).log_softmax(1), reduction="batchmean", log_target=True).item())
    assert apart[1] < 0.2 * apart[0]


@pytest.mark.parametrize("missing", ["distill", "distill_from"])
@pytest.mark.parametrize("distilled", [True, False])
def test_a_run_names_what_it_lacks_to_learn_from_a_teacher(missing, distilled):
    there = {"distilled": distilled, "distill": "soft", "distill_from": "checkpoints/cnn"}
    there.pop(missing)
    with pytest.raises(WrongSetting, match=f"{missing} is missing"):
        RunSpec.make({"dataset": "shapes", "model": "vit_live", "epochs": 1, **there})


def test_answers_need_a_teacher_and_fixed_steps():
    with pytest.raises(WrongSetting, match="keeps a teacher's answers; name one"):
        RunSpec.make({"dataset": "shapes", "model": "vit_live", "epochs": 1, "distill_answers": "runs/answers"})
    taught = {"distilled": True, "distill": "hard", "distill_from": "runs/cnn", "distill_answers": "runs/answers"}
    with pytest.raises(WrongSetting, match="set epochs in place of minutes"):
        RunSpec.make({"dataset": "shapes", "model": "vit_live", "minutes": 1, **taught})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"distill_alpha": 0.3}, "^--distill-alpha 0.3 would do nothing without a teacher; leave it out"),
        ({"distill_tau": 2}, "^--distill-tau 2 would do nothing without a teacher's probabilities"),
        ({"distill_tau": 2, "distill": "hard", "distill_from": "runs/cnn"}, r"^--distill-tau 2 .* \(--distill soft\)"),
    ],
)
def test_what_a_teacher_alone_makes_use_of_is_refused_without_it(settings, words):
    plain = {"dataset": "shapes", "model": "vit_live", "epochs": 1}
    with pytest.raises(WrongSetting, match=words):
        RunSpec.make({**plain, **settings})
    RunSpec.make({**plain, **settings, "distill": "soft", "distill_from": "runs/cnn"})
