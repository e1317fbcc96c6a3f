"""Numbers to words: what a head does, what changes over the layers, what a relevance map tells.

Every judgment is against uniform attention, and every sentence is made from the numbers that it states.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vit.interpret.statistics import TABLE, HeadStatistics, finite

# Half of what an indifferent head has is clearly local; within a tenth of it, position hardly matters.
LOCAL, GLOBAL = 0.5, 0.9
SINK = 0.8  # share to the prefix tokens above which a head hardly looks at the picture
ASIDE = 0.2  # such a share above which a sentence says that its distance is of the rest
IDLE = 0.25  # values it takes, in mean norms: below it a sink adds next to nothing
BROADCAST = 1.5  # effective rank: below it a sink writes nearly the same into every token
# A twentieth of the scale, which is ln N, uniform attention's distance or 1, is about what one sees in a chart.
NOTABLE_CHANGE = 0.05
SATURATED = 0.9  # probability above which a total is often small, and a sentence says what that does not mean


def percent(share: float) -> str:
    """A share with one digit below ten percent, as everywhere on the page."""
    return f"{100 * share:.{1 if share < 0.0995 else 0}f}%"


def prefix_name(num_prefix_tokens: int, num_class_tokens: int) -> str:
    """All tokens that are no patches."""
    registers = num_prefix_tokens - num_class_tokens
    names = [read_name(num_class_tokens)] if num_class_tokens else []
    names += [f"the {registers} registers" if registers > 1 else "the register"] if registers else []
    return " and ".join(names) or "no other token"


def read_name(num_class_tokens: int) -> str:
    """What is read in the end."""
    return ("the read-out", "the class token", "the class and distillation tokens")[num_class_tokens]


def worded(text: str, has_readout: bool) -> str:
    """A text that says class token, as it has to be for a model that may have a read-out in its place."""
    return text.replace("class token", "read-out").replace("Class token", "Read-out") if has_readout else text


def layer_names(depth: int, has_readout: bool) -> list[str]:
    """Of as many maps, of which the last may be a read-out's."""
    names = [f"Layer {i + 1}" for i in range(depth)]
    return [*names[:-1], "Read-out"] if has_readout else names


def asker_names(depth: int, has_readout: bool) -> list[str]:
    """What asks for the picture as a whole in as many maps."""
    if not has_readout:
        return ["the class token"] * depth
    return ["all patches, on average"] * (depth - 1) + ["the read-out"]


def describe_view(statistics: HeadStatistics, layer: int, view: int) -> str:
    """What a head does: how far it looks, how focused it is, and how much of the class token's look is on the region.

    layer, view: from 0; view: a head, then their mean, then the rollout. A head that gives the prefix tokens more than
    SINK is called what it is, and where it looks is left out: it hardly does. Raises ValueError on what isn't there.
    """
    L, views = statistics.values["entropy"].shape
    if not (0 <= layer < L and 0 <= view < views):
        raise ValueError(f"There are layers 0 to {L - 1} and heads 0 to {views - 1}, got layer {layer}, head {view}.")
    sentences = []
    if view == statistics.heads + 1:
        sentences.append("What skip connections alone carried is left out here.")
    if statistics.has_readout:
        whole = layer == L - 1
        sentences.append("This is all that the classifier reads." if whole else "Drawn is the mean over all patches.")
    elif layer == L - 1:
        rows = "its row alone counts" if statistics.num_class_tokens == 1 else "their two rows alone count"
        sentences.append(f"After this layer only {_read_are(statistics)} read, so {rows}.")
    if (statistics.get("prefix_share", layer, view) or 0) > SINK:
        sentences += _sink(statistics, layer, view)
        itself = statistics.get("cls_to_itself", layer, view)
        if itself is not None and itself <= SINK:  # the patches are what makes it one
            kept = percent(itself)
            sentences += [f"The class token gives itself only {kept}.", _region(statistics, layer, view)]
    else:
        parts = [_reach(statistics, layer, view), _spread(statistics, layer, view), _region(statistics, layer, view)]
        sentences += [part for part in parts if part]
    return " ".join(sentences)


def describe_received(statistics: HeadStatistics, layer: int, view: int) -> str:
    """What the class token gets, which is what "Attended by" draws of it. layer, view: as `describe_view`."""
    if statistics.has_readout:
        return "Nothing attends to the read-out: it asks, and is no token that could be asked."
    share = statistics.get("attention_to_cls", layer, view)
    if share is None:
        return nothing_reads(statistics)
    even = statistics.uniform["attention_to_cls"]
    verdict = "more than" if share > 1.5 * even else "less than" if share < even / 1.5 else "about"
    left_out = "What skip connections alone carried is left out here. " if view == statistics.heads + 1 else ""
    return (
        f"{left_out}Patches give the class token {percent(share)} of their attention on average; "
        f"an even share is {percent(even)}: {verdict} an even share."
    )


def nothing_reads(statistics: HeadStatistics) -> str:
    """Of what patches ask in the last layer."""
    if statistics.has_readout:
        return "No patch asks here: only the read-out does."
    return f"Nothing reads this: after the last layer only {_read_are(statistics)} read, no patch."


def _read_are(statistics: HeadStatistics) -> str:
    return read_name(statistics.num_class_tokens) + (" are" if statistics.num_class_tokens > 1 else " is")


def _prefix_of(statistics: HeadStatistics) -> str:
    return prefix_name(statistics.num_prefix_tokens, statistics.num_class_tokens)


def _sink(statistics: HeadStatistics, layer: int, view: int) -> list[str]:
    share, name = statistics.get("prefix_share", layer, view), _prefix_of(statistics)
    norm, rank = statistics.get("value_norm", layer, view), statistics.get("output_rank", layer, view)
    if norm is None:  # the mean of heads and the rollout have no values of their own
        return [f"It hardly looks at the picture: it gives {share:.0%} to {name}."]
    taken = f"the values it takes have {norm:.2f} times the mean norm"
    if norm < IDLE:
        kind = f"It does next to nothing: {taken}."
    elif rank is None:
        kind = f"It is not idle: {taken}."
    else:
        written = f"what it writes has an effective rank of {rank:.1f} of at most {statistics.head_dim}"
        kind = (
            f"It broadcasts, writing nearly the same into every token: {written}, and {taken}."
            if rank < BROADCAST
            else f"It is neither idle nor does it only broadcast: {taken}, and {written}."
        )
    return [f"It hardly looks at the picture: it gives {share:.0%} to {name}: a sink.", kind]


def _reach(statistics: HeadStatistics, layer: int, view: int) -> str:
    distance, uniform = statistics.get("distance", layer, view), statistics.uniform["distance"]
    share, name = statistics.get("prefix_share", layer, view) or 0, _prefix_of(statistics)
    if distance is None:
        return f"It gives {percent(share)} to {name}." if share > ASIDE else ""
    if not uniform:
        return "There is one patch only, so nothing is near or far."
    reach = (
        "local"
        if distance < LOCAL * uniform
        else "global"
        if distance > GLOBAL * uniform
        else "neither local nor global"
    )
    aside = f"It gives {percent(share)} to {name}; what it gives patches lies" if share > ASIDE else "It looks"
    return f"{aside} {distance:.1f} px away on average, uniform attention would be {uniform:.1f} px: {reach}."


def _spread(statistics: HeadStatistics, layer: int, view: int) -> str:
    entropy, highest = statistics.number("entropy", layer, view), statistics.uniform["entropy"]
    # In tokens, exp(entropy), since the logarithm flatters: half of ln 65 is 8 tokens of 65, half of ln 197 is 14.
    tokens, N = math.exp(entropy), statistics.tokens
    spread = "focused" if tokens < N / 4 else "diffuse" if tokens > 3 * N / 4 else "neither focused nor diffuse"
    return f"Entropy {entropy:.2f} of at most {highest:.2f} nats, as if over {tokens:.0f} of {N} tokens: {spread}."


def _region(statistics: HeadStatistics, layer: int, view: int) -> str:
    share, area, region = statistics.get("object_share", layer, view), statistics.area, statistics.region
    itself = statistics.get("cls_to_itself", layer, view)
    if share is None or area is None or region is None:
        if itself is None:  # nothing asks for the picture as a whole, or nothing that is a token
            return ""
        return f"The class token gives itself {percent(itself)}; an even share is {percent(1 / statistics.tokens)}."
    if area <= 0:
        return f"This picture has none of {region}, so there is no share on it."
    if area >= 1:
        return f"This picture is all {region.removeprefix('the ')}, so the share on it says nothing."
    if itself is not None and itself > SINK:
        return f"The class token gives itself {itself:.0%}, so where the rest falls says little."
    # Odds, since an object that covers 80% could never get 1.5 times its area.
    seen, chance = share * (1 - area), area * (1 - share)
    verdict = (
        "more than chance" if seen > 1.5 * chance else "less than chance" if chance > 1.5 * seen else "about chance"
    )
    return (
        f"{'The read-out' if statistics.has_readout else 'The class token'} puts {percent(share)} of what it gives "
        f"patches on {region}, "
        f"which covers {percent(area)} of the picture: {verdict}."
    )


@dataclass(frozen=True)
class EarlyAgainstLate:
    """Means over the heads of the first and the last `layers` layers, by the table's names, and what they say.

    Of those layers each mean takes the ones where the statistic counts; None where it does in none of them. A head that
    gives the prefix tokens more than SINK has no part in the distance, one whose class token gives itself more than
    SINK none in the share of the object: what little goes elsewhere would weigh as much as a whole head's look.
    """

    layers: int
    early: dict[str, float | None]
    late: dict[str, float | None]
    sentence: str


def early_against_late(statistics: HeadStatistics) -> EarlyAgainstLate:
    """The first third of the layers (at least one) against the last, in numbers and in words made from them."""
    depth = statistics.depth
    layers = max(1, depth // 3)
    names = [row.name for row in TABLE if row.name in statistics.values]
    looking = {name: _of_heads_that_look(statistics, name) for name in names}
    early = {name: finite(values[:layers].nanmean().item()) for name, values in looking.items()}
    late = {name: finite(values[-layers:].nanmean().item()) for name, values in looking.items()}
    if depth == 1:
        return EarlyAgainstLate(layers, early, late, "There is one layer only, so nothing to compare.")

    def change(name: str, scale: float, more: str, less: str, same: str) -> str:
        before, after = early[name], late[name]
        assert before is not None and after is not None, "asked only where both have a number"
        difference = after - before
        notable = abs(difference) > NOTABLE_CHANGE * scale  # a single patch has a scale of 0
        return same if not notable else more if difference > 0 else less

    first, last = ("first layer", "last layer") if layers == 1 else (f"first {layers} layers", f"last {layers} layers")
    if statistics.has_readout:
        last = ("read-out", "last layer and the read-out", f"last {layers - 1} layers and the read-out")[
            min(layers, 3) - 1
        ]
    numbers, reading = [], []
    if early["distance"] is not None and late["distance"] is not None:
        counted = f"layer {depth - 1}" if layers == 2 else f"layers {depth - layers + 1} to {depth - 1}"
        numbers.append(
            f"the {first} look {early['distance']:.1f} px away on average, {counted} {late['distance']:.1f} px"
        )
        scale = statistics.uniform["distance"]
        reading.append(change("distance", scale, "look farther", "look less far", "look about as far"))
    if statistics.has_readout:
        numbers.append("the read-out has no distance, since no patch asks")
        name, of = "entropy", "entropy of what counts"
    else:
        numbers.append(f"layer {depth} has no distance, since only {_read_are(statistics)} read after it")
        # The one token whose row counts in all layers, so the same thing is compared.
        name, of = "cls_entropy", "entropy of the class token"
    highest = statistics.uniform["entropy"]
    numbers.append(
        f"from the {first} to the {last} the {of} goes {early[name]:.2f} → {late[name]:.2f} nats of at most "
        f"{highest:.2f}"
    )
    reading.append(change(name, highest, "spread more", "focus more", "are about as focused"))
    seen = None not in (early.get("object_share"), late.get("object_share"))
    if seen and statistics.area is not None and 0 < statistics.area < 1:
        region = statistics.region
        numbers.append(
            f"attention on {region} {early['object_share']:.0%} → {late['object_share']:.0%}, "
            f"which covers {statistics.area:.0%} of the picture"
        )
        reading.append(change("object_share", 1, "look more", "look less", "look about as much") + f" at {region}")
    said = "; ".join(numbers)
    if any((values.isnan() & ~statistics.of_heads(name).isnan()).any() for name, values in looking.items()):
        said += "; heads that hardly look at the picture are left out of where they look"
    together = f"{', '.join(reading[:-1])} and {reading[-1]}" if len(reading) > 1 else reading[0]
    return EarlyAgainstLate(layers, early, late, f"{said[0].upper()}{said[1:]}. Later heads {together}.")


def _of_heads_that_look(statistics: HeadStatistics, name: str) -> Tensor:
    """(L, heads), NaN where a number of where a head looks is one of a head that hardly does."""
    by = {"distance": "prefix_share", "object_share": "cls_to_itself"}.get(name)
    values = statistics.of_heads(name)
    return values if by is None else values.masked_fill(statistics.of_heads(by) > SINK, torch.nan)


def describe_relevance(name: str, total: float, probability: float) -> str:
    """Beside a relevance map, whose colors have a scale of their own: its total, and what makes totals small."""
    said = f"Total {total:.3g} for {name}, which the model gives {percent(probability)}."
    if probability > SATURATED:
        said += " It is of the class's logit, not of that share: a small total does not mean less evidence."
    return said
