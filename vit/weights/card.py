"""The model card: what a README.md says beside a model's weights."""

from pathlib import Path

from vit.data.registry import DATASETS, hub_name, label
from vit.model import Classifier
from vit.weights.fetch import on_hub


def card(model: Classifier) -> str:
    """The model card: Hub metadata, what the model is, how it was trained, how to load it.

    The metadata have trained["test_accuracy"] where that was measured, else trained["validation_accuracy"].
    """
    from huggingface_hub import EvalResult, ModelCardData

    trained, kind = model.trained, type(model).__name__
    call = "logits, maps = model(images, return_attention=True)" if model.has_attention else "logits = model(images)"
    what = "A Vision Transformer" if model.has_attention else "A convolutional network, without attention,"
    dataset = trained.get("dataset", "unknown")
    split = "test" if trained.get("test_accuracy") is not None else "validation"
    accuracy = trained.get(f"{split}_accuracy")
    tested = trained.get("test_dataset", dataset) if split == "test" else dataset
    results = accuracy is not None and EvalResult(
        task_type="image-classification",
        dataset_type=hub_name(tested) or _called(tested),
        dataset_name=_called(tested),
        dataset_split=split,
        metric_type="accuracy",
        metric_value=round(accuracy, 4),
    )
    parent = trained.get("parent", "")
    foreign = "pretrained" in trained or "parent" in trained
    title = trained["model"] if "pretrained" in trained else f"{kind} on {_called(dataset)}"
    data = ModelCardData(
        model_name=title,
        license=None if foreign else "mit",
        library_name="vit-live",
        pipeline_tag="image-classification" if model.classes else "image-feature-extraction",
        tags=["vision-transformer" if model.has_attention else "cnn"] + ([] if foreign else ["from-scratch"]),
        base_model=parent if on_hub(parent) and not Path(parent).exists() else None,
        datasets=[repository] if (repository := hub_name(dataset)) else None,
        metrics=["accuracy"],
        eval_results=[results] if results else None,
    )
    architecture = "\n".join(f"| {key.replace('_', ' ')} | {_readable(value)} |" for key, value in model.config.items())
    parameters = sum(p.numel() for p in model.parameters())
    known = {key.replace("_", " "): _readable(value) for key, value in trained.items() if value is not None}
    facts = "\n".join(f"| {key} | {value} |" for key, value in known.items())
    origin = "trained from scratch"
    if "parent" in trained:
        part = "with the head alone" if trained.get("config", {}).get("train") == "head" else "as a whole"
        origin = f"fine-tuned {part} from {trained['parent']}, whose license and card hold"
    elif "pretrained" in trained:
        origin = f"converted from {trained['pretrained']}, whose license and card hold"
    names = f"It tells {len(model.classes)} classes apart: {', '.join(model.classes)}."
    warning = "It has seen nothing but such images: of any other picture it still names one of its classes.\n\n"
    if not model.classes:
        names, warning = "It has no class head: it names nothing, and is there to look into.", ""
    return f"""---
{data.to_yaml()}
---

# {title}

{what} with {parameters:,} parameters, {origin}.
{names}

| architecture | |
| --- | --- |
{architecture}

| trained | |
| --- | --- |
{facts}

{warning}```python
from vit import {kind}
model = {kind}.from_pretrained("path/to/this/folder")
{call}  # images normalized with model.mean and model.std
```
"""


def _called(dataset: str) -> str:
    """Its name, but of somebody's own no path."""
    return dataset if dataset in DATASETS else label(dataset)


def _readable(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item is not None)
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"
