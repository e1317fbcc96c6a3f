"""Teaching for programs: plain functions with named endpoints."""

from pathlib import Path

import gradio as gr

from vit.live import collection, runs, teaching, uploads
from vit.training.finetune import WAYS
from vit.ui.checks import checked
from vit.ui.endpoints import unseen
from vit.ui.errors import as_bad_input
from vit.ui.own import learning


@checked
def teach_add(images: list[str] | None, class_name: str, token: str) -> dict:
    """The set with these pictures in it."""
    with as_bad_input():
        own = collection.find(token) if token else collection.create()
        added = own.add(class_name, [(Path(image).name, Path(image)) for image in images or []])
    refusal = own.refusal()
    return {
        "token": own.token,
        "added": len(added.pictures),
        "refused": added.refused,
        "classes": {name: len(kept) for name, kept in own.classes.items()},
        "ready": not refusal,
        "says": refusal or own.promise(),
    }


@checked
def teach(token: str, model: str = "", ways: list[str] | None = None, request: gr.Request | None = None) -> dict:
    """Queues learning a set of pictures in three ways: head alone, all, and from scratch; one run of the queue.

    token: of the set, from teach_add. model: to begin from, '' for the shipped one. ways: some of head, all, scratch.
    """
    begun = learning.begin(token, model, list(WAYS) if ways is None else ways, request)
    return {"run_id": begun.id, "owner_token": begun.owner}


@checked
def teach_status(run_id: str) -> dict:
    """Where learning stands, and of each way its model's name, accuracy on held-out pictures and 95% interval."""
    found = learning.find(run_id)
    ways = {way.name: learning.told(way) for way in found.ways}
    place = runs.place(found)
    return {"run_id": found.id, "status": found.status, "message": found.message, "place_in_queue": place, "ways": ways}


@checked
def teach_stop(run_id: str, owner_token: str) -> dict:
    """Ends learning after the step under way; takes the token that teach returned."""
    learning.end(run_id, owner_token)
    return {"run_id": run_id, "stopping": True}


@checked
def teach_delete(token: str) -> dict:
    """Deletes all pictures of a set at once, and ends what learns them."""
    teaching.forget(token)
    return {"deleted": True}


@checked
def teach_delete_model(model: str, owner_token: str) -> dict:
    """Deletes a model that was taught, and its link; takes the token that teach returned."""
    learning.discard(model, owner_token)
    return {"model": model, "deleted": True}


def build() -> None:
    """Names the endpoints, within a gr.Blocks."""
    with unseen():
        gr.Button().click(
            teach_add,
            [gr.File(label="images", file_count="multiple"), gr.Textbox(label="class_name"), gr.Textbox(label="token")],
            gr.JSON(label="set"),
            api_name="teach_add",
            api_description="Add pictures, or zips of them, to a class of a set to teach a model with. token: '' for a "
            f"new set. They are deleted at most {uploads.MINUTES} minutes later. Returns "
            "the set's token, the classes' counts, what was refused, and whether it can be learned.",
        )
    for endpoint in (teach, teach_status, teach_stop, teach_delete, teach_delete_model):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=None)
