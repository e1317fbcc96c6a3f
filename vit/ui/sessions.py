"""What Gradio keeps of each page: a session, of which choices and states are needed, and nothing that was sent."""

from types import SimpleNamespace

import gradio as gr
from gradio import route_utils, state_holder
from gradio.state_holder import SessionState


class AsChosen:
    """Mixed into a component before Gradio's own: hands on what was chosen, for others to check.

    Gradio's would refuse it where the session was forgotten, and with it what there is to choose from.
    """

    def preprocess(self, payload):
        return payload

    def get_block_name(self) -> str:
        return type(self).__bases__[-1].__name__.lower()


class Session(SessionState):
    """Gradio's, without what it would make links of, which this page does not have: a description of each component,
    made anew for each visit and for each question of a program, with the latest pictures and maps that it was sent.
    """

    def __init__(self, blocks: gr.Blocks):
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))  # describes these blocks

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: object) -> None:
        pass


def install() -> None:
    """Puts this file's session into the place of Gradio's own."""
    state_holder.SessionState = route_utils.SessionState = Session
