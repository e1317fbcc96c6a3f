"""What a link names: a tab, a model and a picture."""

import contextlib

from vit import data
from vit.live import datasets, models
from vit.ui import pictures
from vit.ui.errors import warn
from vit.ui.pictures import Picture

TABS = ("train", "own", "classify", "attention", "lesson")


def linked(query) -> tuple[str | None, Picture | None]:
    """Model and picture of a link such as ?model=shapes&picture=shapes-17; the default where there is none."""
    key = query.get("model")
    if key and not models.available(key):
        warn(f"The link's model {key!r} is not here any more; this is the default one.")
        key = None
    if picture := pictures.named(query.get("picture")):
        with contextlib.suppress(data.DatasetUnavailable):
            datasets.SOURCES[picture[0]].load()  # waits while it is on its way: another picture would be the wrong one
        if not pictures.exists(picture):
            warn("The link's picture is not here; this is another.")
            picture = None
    return key or models.default(), picture
