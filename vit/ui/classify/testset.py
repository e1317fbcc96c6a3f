"""The whole test set through one model, and through two: what the page shows of it, and its files."""

import csv
import io

import torch
from torch import Tensor

from vit.figures import confusion_figure, encoded, reliability_figure
from vit.live import answers, models
from vit.live.answers import Answers
from vit.report.accuracy import accuracy_of
from vit.report.calibration import calibration, reliability, wilson
from vit.report.comparison import compare
from vit.ui.analysis import predict, recall
from vit.ui.asking import answering, file
from vit.ui.checks import check, one_of, whole
from vit.ui.classify.answer import payload
from vit.ui.classify.gallery import thumbnail, waiting
from vit.ui.errors import BadInput, as_bad_input

SHOWN = 20  # pictures of a kind


@answering
def measured(question: dict) -> dict:
    """A model's test set in numbers, or {"waiting": ...}. model: its key."""
    said = answers.ask(check("model", question.get("model"), str))
    if not said.complete:
        return waiting(said)
    mistakes = said.surest(said.classes != said.test.labels)
    return {**numbers(said), "classes": list(said.model.classes), "mistakes": _shown(said, mistakes)}


def numbers(said: Answers) -> dict:
    """Accuracy with its 95% interval, loss, confusion, per class, and calibration before and after the temperature."""
    labels, temperature = said.test.labels, said.model.temperature
    return {
        "dataset": said.test.name,
        **accuracy_of(said.logits, labels),
        "temperature": temperature,
        "calibration_error": [calibration(said.logits, labels, t).error for t in (1.0, temperature)],
        "reliability": [_reliability(said, t) for t in (1.0, temperature)],
    }


@answering
def cell(question: dict) -> dict:
    """Pictures of one true class that were taken for another, the surest first. true, taken: indices of classes."""
    said, n = _complete(question.get("model")), len(answers.ask(question.get("model")).model.classes)
    true, taken = (whole(name, question.get(name), 0, n - 1) for name in ("true", "taken"))
    places = said.surest((said.test.labels == true) & (said.classes == taken))
    return {"pictures": _shown(said, places), "count": len(places)}


@answering
def export(question: dict) -> dict:
    """A file: what = "confusion" or "reliability" as png or svg, "answers" as csv. {"name", "content": base64}."""
    said = _complete(question.get("model"))
    what = one_of("what", question.get("what"), ("confusion", "reliability", "answers"))
    kind = one_of("format", question.get("format"), ("csv",) if what == "answers" else ("png", "svg"))
    name = f"{what}-{models.name(said.model)}-{said.test.name}.{kind}"
    if what == "answers":
        content = table(said).encode()
    else:
        found = numbers(said)
        drawn = (
            confusion_figure(torch.tensor(found["confusion"]).numpy(), said.model.classes)
            if what == "confusion"
            else reliability_figure(*found["reliability"], said.model.temperature)
        )
        content = encoded(drawn, kind)
    return file(name, content)


def table(said: Answers) -> str:
    """A row a picture, as CSV: its number in the test split, true class, answer, confidence, each class's share."""
    text = io.StringIO()
    rows, classes = csv.writer(text), said.model.classes
    rows.writerow(["number", "true class", "answer", "confidence", *classes])
    probabilities = said.probabilities
    for i, label, row in zip(said.indices.tolist(), said.test.labels.tolist(), probabilities.tolist()):
        best = max(range(len(row)), key=row.__getitem__)
        rows.writerow([i, classes[label], classes[best], f"{row[best]:.6f}", *(f"{share:.6f}" for share in row)])
    return text.getvalue()


@answering
def beside(question: dict) -> dict:
    """What another model says of the picture that a token stands for. other: its key."""
    _, picture = recall(check("token", question.get("token"), str))
    other = check("other", question.get("other"), str)
    prediction = predict(other, picture)
    models.named(prediction.model)
    return payload(prediction, other, picture)


@answering
def against(question: dict) -> dict:
    """Two models on the test set of both, or {"waiting": ...}. model, other: their keys."""
    first, second = pair(*(check(name, question.get(name), str) for name in ("model", "other")))
    for said in (first, second):
        if not said.complete:
            both = {"done": first.done + second.done, "of": len(first.test) + len(second.test)}
            return {"waiting": {**waiting(said)["waiting"], **both}}
    rights = right(first), right(second)
    found = compare(*rights)
    return {
        **vars(found),
        "dataset": first.test.name,
        "intervals": [wilson(share, found.n) for share in (found.first, found.second)],
        "names": [models.name(said.model) for said in (first, second)],
        "won": _shown(first, (rights[0] & ~rights[1]).nonzero()[:, 0]),
        "lost": _shown(first, (rights[1] & ~rights[0]).nonzero()[:, 0]),
    }


def pair(model: str, other: str) -> tuple[Answers, Answers]:
    """Both models' answers to the same pictures. Raises BadInput where they tell other classes apart."""
    with as_bad_input():
        first, second = answers.ask(model), answers.ask(other)
    if first.model.classes != second.model.classes or first.test.name != second.test.name:
        one, two = (f"{len(said.model.classes)} classes of {said.test.name}" for said in (first, second))
        raise BadInput(
            f"These models tell different classes apart ({one}, {two}), so no test set fits both; choose another model."
        )
    return first, second


def right(said: Answers) -> Tensor:
    """Which pictures it named correctly: bool (n,)."""
    return said.classes == said.test.labels


def _complete(key: object) -> Answers:
    said = answers.ask(check("model", key, str))
    if not said.complete:
        raise BadInput(
            "This model has not looked at all of its test pictures yet; start it, and wait until it is done."
        )
    return said


def _reliability(said: Answers, temperature: float) -> list[tuple[int, float, float]]:
    sure, classes = (said.logits / temperature).softmax(1).max(1)
    return reliability(sure, classes == said.test.labels)


def _shown(said: Answers, places: Tensor) -> list[dict]:
    best = said.probabilities.max(1)
    return [
        thumbnail(
            said.test.name,
            int(said.indices[place]),
            f": it says {said.model.classes[best.indices[place]]}, {best.values[place]:.1%}",
        )
        for place in places[:SHOWN].tolist()
    ]
