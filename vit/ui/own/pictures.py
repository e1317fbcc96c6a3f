"""What the page's script asks about a visitor's pictures: collecting, naming, removing, deleting them."""

import base64
import binascii
from contextlib import ExitStack

from vit.data.drawings import drawings
from vit.data.pictures import fit
from vit.live import collection, teaching
from vit.live.collection import Collection, Kept, Refused
from vit.ui import pictures
from vit.ui.asking import answering
from vit.ui.checks import check
from vit.ui.errors import BadInput

THUMBNAIL = 64  # pixels
LARGEST = 20_000_000  # bytes of a file that is sent
MANY = 50  # files in one question


@answering
def collected(question: dict) -> dict:
    """All that is in a set. set: its token."""
    own = _set(question)
    classes = [{"name": name, "pictures": _shown(kept)} for name, kept in list(own.classes.items())]
    return {"set": own.token, "classes": classes}


@answering
def standing(question: dict) -> dict:
    """Whether it can be trained on, in a sentence, and whether it is gone.

    set: the token; names: of the page's classes, empty ones too.
    """
    names = check("names", question.get("names"), list[str])
    try:
        own = _set(question)
    except ValueError as error:
        return {"ready": False, "gone": True, "says": str(error)}
    refusal = own.refusal(names)
    return {"ready": not refusal, "gone": False, "says": refusal or own.promise()}


@answering
def add(question: dict) -> dict:
    """Takes in files. set: the token, "" for a new set; class: its name; files: [{name, content: in base64}]."""
    name, files = check("class", question.get("class"), str), check("files", question.get("files"), list[dict])
    if len(files) > MANY:
        raise BadInput(f"At most {MANY} files are taken at once, got {len(files)}; send them in parts.")
    contents = [(check("name", file.get("name"), str)[:100], content(file.get("content"))) for file in files]
    own = _set(question) if question.get("set") else collection.create()
    with ExitStack() as stack:
        added = own.add(name, [(called, stack.enter_context(collection.as_file(sent))) for called, sent in contents])
    return {"set": own.token, "added": _shown(added.pictures), "refused": added.refused, "full": added.full}


@answering
def sample(question: dict) -> dict:
    """Adds our drawings, three classes of them, to a set. set: the token, "" for a new one."""
    own = _set(question) if question.get("set") else collection.create()
    for name, images in drawings().items():
        for number, image in enumerate(images, start=1):
            try:
                own.put(name, f"{name} {number}", image)
            except collection.Full:
                raise
            except Refused:  # it is there already
                continue
    return {"set": own.token}


@answering
def remove(question: dict) -> dict:
    """Deletes pictures. set: the token; ids: theirs."""
    _set(question).remove(check("ids", question.get("ids"), list[str]))
    return {}


@answering
def rename(question: dict) -> dict:
    """The class's new name, tidied. set: the token; name, new: the old name and the new one."""
    name, new = (check(key, question.get(key), str) for key in ("name", "new"))
    return {"name": _set(question).rename(name, new)}


@answering
def delete_now(question: dict) -> dict:
    """Deletes all pictures of a set, and ends what learns them. set: the token."""
    teaching.forget(check("set", question.get("set"), str))
    return {}


def content(sent: object) -> bytes:
    """What a script sends of a file. Raises BadInput."""
    text = check("content", sent, str)
    if len(text) > 4 * LARGEST // 3 + 4:
        raise BadInput(f"This file has more than {LARGEST // 1_000_000} MB; scale it down first.")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadInput("content must be a file's bytes in base64, got something else; send it anew.") from error


def _set(question: dict) -> Collection:
    return collection.find(check("set", question.get("set"), str))


def _shown(kept: list[Kept]) -> list[dict]:
    """Small, for the page; nothing of them stays in memory."""
    return [{"id": one.id, "src": pictures.jpeg_uri(fit(one.pixels()[None], None, THUMBNAIL)[0][0])} for one in kept]
