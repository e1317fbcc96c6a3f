"""How a page's script asks the server about what it shows: each question is one dict, and so is each answer."""

import base64
import functools
import threading
from collections.abc import Callable

from vit.interpret.analysis import Analysis
from vit.ui.analysis import analyze, recall
from vit.ui.checks import check
from vit.ui.errors import BadInput

PLACES = 30  # questions at a time: the others of Gradio's 40 threads read files and run events meanwhile
BUSY = "The server is busy with others' questions; try again in a moment."

_places = threading.BoundedSemaphore(PLACES)


def answering(function: Callable[..., dict]) -> Callable[..., dict]:
    """The function as a script calls it: a mistake comes back as {"error": a sentence}.

    So does BUSY, with "lost", as the script says it of a question that was never answered: it may ask again.

    What Gradio fills in beside the question, such as a gr.Request, is handed on.
    """

    @functools.wraps(function)
    def answer(question, *filled_in):
        places = _places  # the place goes back to where it was taken
        if not places.acquire(blocking=False):
            return {"error": BUSY, "lost": True}
        try:
            return function(check("question", question, dict), *filled_in)
        except BadInput as error:
            return {"error": error.sentence}
        except ValueError as error:
            return {"error": BadInput(error).sentence}
        finally:
            places.release()

    return answer


def answer(probe: Callable[[Analysis, dict], dict]) -> Callable[[dict], dict]:
    """A probe as the page calls it: the token stands for model and picture, mistakes come back as words."""

    def ask(question: dict) -> dict:
        return probe(analyze(*recall(check("token", question.get("token"), str))), question)

    ask.__name__, ask.__doc__ = probe.__name__, probe.__doc__  # by this name the page calls it
    return answering(ask)


def file(name: str, content: bytes) -> dict:
    """As the page's script saves it into the visitor's downloads."""
    return {"name": name, "content": base64.b64encode(content).decode()}
