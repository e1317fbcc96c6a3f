"""What each step of the lesson says of a model: its words, its formula, and the lines that do it."""

from typing import NamedTuple

from vit.interpret.lesson import reach
from vit.live import models
from vit.model import ViT
from vit.training import step as training_step
from vit.ui.lesson.source import Line, line

MOST_WORDS = 80


class Step(NamedTuple):
    """name: as links call it. task: what completes it."""

    name: str
    title: str
    words: str
    formula: str
    code: tuple[Line, ...]
    task: str


def steps(model: ViT) -> tuple[Step, ...]:
    """The seven steps, true for this model."""
    return tuple(step(model) for step in (_patches, _places, _asking, _heads, _blocks, _answer, _learning))


def reader(model: ViT) -> str:
    """What the answer is read from, within a sentence."""
    return "the read-out" if model.has_readout else "the class token"


def _patches(model: ViT) -> Step:
    size, (h, w), config = model.config["patch_size"], model.grid_size, model.config
    numbers, width = config["in_chans"] * size * size, config["embed_dim"]
    if config["stem"] == "conv":
        words = (
            f"Small convolutions turn the picture's pixels into {h} × {w} tokens of {width} numbers, one for each "
            f"patch of {size} × {size} pixels. Each is made of its patch and of {reach(model)} pixels around it: the "
            "dashed frame. From here on the model sees tokens alone. Touch a patch, then one of its numbers."
        )
        return Step("patches", "Patches", words, "x = stem(picture)", (line("ConvStem.forward", "convs"),), TOUCH)
    words = (
        f"The picture is cut into {h} × {w} patches of {size} × {size} pixels. A patch is {numbers} numbers: how much "
        f"red, green and blue each pixel has, on a common scale. One matrix E, the same for all patches, makes {width} "
        "numbers of them: a token. From here on the model sees tokens alone. Touch a patch, then one of its numbers."
    )
    formula = f"token = patch · E + b, {numbers} numbers to {width}"
    return Step("patches", "Patches", words, formula, (line("PatchEmbedding.forward", "proj"),), TOUCH)


TOUCH = "Touch a patch, then one of its numbers."


def _places(model: ViT) -> Step:
    width, prefix = model.config["embed_dim"], model.num_prefix_tokens
    words = (
        "Attention does not know where a token comes from. So each place has its own learned numbers, the position "
        f"embedding, {width} of them, which are added to the token there. "
    )
    if model.has_readout:
        words += "This model has no class token among them: in the end a read-out asks the patches. "
    else:
        words += f"Before the patches stands {_before(model)}. "
    words += "Touch a place to see which others are alike."
    task = "Touch another place."
    if not models.headless(model):
        words += " Then shuffle the patches."
        task = "Shuffle the patches."
    first = ["x_class"] if model.num_class_tokens else []
    extra = [f"{prefix - len(first)} more"] if prefix > len(first) else []
    formula = f"z₀ = [{'; '.join([*first, *extra, 'x¹E; …; xᴺE'])}] + E_pos"
    return Step("places", "Tokens and places", words, formula, (line("ViT.embed", "pos_embed"),), task)


def _before(model: ViT) -> str:
    more = model.num_prefix_tokens - 1
    token = "the class token, which is the same for all pictures and collects the answer"
    return token if not more else f"{token}, and {more} token{'s' * (more > 1)} more"


def _asking(model: ViT) -> Step:
    d = model.config["embed_dim"] // model.num_heads
    words = (
        f"In a head each token makes three vectors of {d} numbers: a query, what it looks for; a key, what it offers; "
        f"a value, what it hands over. Its query times each key, over √{d} = {d**0.5:.3g}, softmax: weights that sum "
        "to 1. Touch a token to let it ask. The slider stands in place of the root: a small one gives all to one "
        "token, a large one gives all tokens the same."
    )
    code = [line("Attention.forward", "k", "transpose"), line("Attention.forward", "scores", "softmax")]
    if model.has_readout:
        code.append(line("AttentionPooling.forward", "k", "softmax"))
    formula = f"A = softmax(q kᵀ / √{d})"
    return Step(
        "asking", "Query meets keys", words, formula, tuple(code), "Move the slider until one token gets over 90%."
    )


def _heads(model: ViT) -> Step:
    d, width, heads = model.config["embed_dim"] // model.num_heads, model.config["embed_dim"], model.num_heads
    beside = f"{heads} heads do this side by side" if heads > 1 else "This model has a single head"
    words = (
        f"The weights mix the values: what a head hands on is {d} numbers, the mean of all tokens' values by weight. "
        f"{beside}; a matrix U makes {width} numbers of what they hand on, which are added to the token. "
    )
    code = [line("Attention.forward", "attn_drop", "v"), line("Attention.forward", "proj_drop")]
    if model.has_readout:
        words += "A read-out's values are the tokens themselves, and it has no U. "
        code.append(line("AttentionPooling.forward", "attn", "v"))
    words += f"Choose who asks, and switch {'heads off: one, or several' if heads > 1 else 'it off'}."
    last = "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(heads))
    formula = f"z′ = z + [A₁v₁; …; A{last}v{last}] U" if heads > 1 else "z′ = z + (A v) U"
    task = f"Switch {'a' if heads > 1 else 'the'} head off."
    return Step("heads", "Values and heads", words, formula, tuple(code), task)


def _blocks(model: ViT) -> Step:
    depth, named = model.config["depth"], not models.headless(model)
    words = (
        "Then each token passes alone through a small network of two layers, the MLP. Attention and MLP only add to a "
        "token; a norm before each brings its numbers to mean 0 and spread 1. "
        f"{f'{depth} such blocks follow each other' if depth > 1 else 'This model has one such block'}. "
    )
    if named:
        after = "each of them, as if it were the last" if depth > 1 else "it"
        words += f"The logit lens asks the classifier after {after}{': the token changes its mind' * (depth > 1)}. "
    words += f"Touch a token{', and move through the layers' * (depth > 1)}."
    code = line("TransformerBlock.forward", "attended", "ls1"), line("TransformerBlock.forward", "ls2")
    formula = "z′ = MSA(LN(z)) + z,  z″ = MLP(LN(z′)) + z′"
    settles = "Go to the layer after which it says for good what it says in the end."
    return Step("blocks", "Blocks", words, formula, code, settles if named and depth > 1 else "Touch another token.")


def _answer(model: ViT) -> Step:
    width = model.config["embed_dim"]
    readout = line("ViT.read_out", "attn_pool" if model.has_readout else "num_class_tokens", "norm")
    read = "the read-out's mean of the patches" if model.has_readout else "the class token"
    if models.headless(model):
        words = (
            f"In the end only {read} is read: {width} numbers, normed once more. This model has no class head to make "
            "an answer of them: they are for other programs, which compare pictures by them. Attention shows where it "
            "looked. That is not yet why: without an answer nothing can be covered to see what it needs."
        )
        return Step("answer", "The answer", words, "y = LN(z)", (readout,), "Touch a patch.")
    only = f"{read} is read: its {width} numbers times one vector for each class are the logits"
    if model.num_class_tokens == 2:
        only = (
            f"two tokens are read, class and distillation: {width} numbers each, times a vector for each class, are "
            "logits, whose mean counts"
        )
    words = (
        f"In the end only {only}; softmax makes shares of them that sum to 1. Which patches mattered? Attention shows "
        "where it looked, relevance weighs that by what it does to the class, and covering patches puts it to the "
        "test. They need not agree: attention is not explanation."
    )
    formula = "logits = LN(y) W + b,  shares = softmax(logits / T)"
    heads, shares = line("ViT._heads", "stack"), line("Classifier.probabilities", "softmax")
    task = "Break it: cover, shift or blur the picture until it says something else."
    return Step("answer", "The answer", words, formula, (readout, heads, shares), task)


def _learning(model: ViT) -> Step:
    count = sum(parameter.numel() for parameter in model.parameters())
    words = (
        f"Nobody wrote these {count:,} numbers. They start at random; each step of training moves all of them a "
        "little, so that the answers to a batch of pictures get less wrong. The recorded run shows what forms first. "
        "Then predict, and train your own: each button fills in the form of the Train tab for one minute; two such "
        "runs stand beside each other there."
    )
    code = line("_gradients", "backward", module=training_step)
    return Step(
        "learning", "Learning", words, "w ← w − rate · ∂loss/∂w", (code,), "Choose an experiment: it fills in the form."
    )
