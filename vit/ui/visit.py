"""What one open page has on show, beside its fields, and which of a visitor's questions that answers."""

from vit.live.models import RunNames
from vit.ui.pictures import Picture


class Visit:
    """Of one page; a gr.State that its handlers change in place.

    Answers come when they are ready, so an old one must not cover a newer one. Questions count from 1; one that fails
    is none, as what was asked before it is still worth an answer.

    key: of the model, None where there is none. number: how often other pictures were asked for. run_names: what the
    page calls the runs whose models it offers.
    """

    def __init__(self) -> None:
        self.key: str | None = None
        self.picture: Picture | None = None
        self.number = 0
        self.run_names: RunNames = {}
        self._asked = self._drawn = self._chosen = 0

    def ask(self) -> int:
        """The number of a new question."""
        self._asked += 1
        return self._asked

    def draw(self, question: int, picture: Picture) -> bool:
        """Whether the picture may be shown as the answer; not where that of a later question is on show."""
        if question < self._drawn:
            return False
        self._drawn, self.picture = question, picture
        return True

    def keep(self, before: Picture | None, picture: Picture) -> bool:
        """Whether another model's answer to the picture may be shown; not where another one came on show meanwhile.

        picture: the same, or what stands for it where that model's gallery has not got it.
        """
        if self.picture != before:
            return False
        self.picture = picture
        return True

    def choose(self, question: int, key: str | None) -> bool:
        """Whether the model may be shown as the answer; not where that of a later question is on show."""
        if question < self._chosen:
            return False
        self._chosen, self.key = question, key
        return True

    def model(self, question: int, key: str | None) -> str | None:
        """Of the model to answer a question to `key` with: one that was asked for later, where that is on show."""
        return self.key if self._chosen > question else key
