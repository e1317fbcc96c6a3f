"""How a visitor's mistake is answered."""

import gradio as gr


class BadInput(gr.Error):
    """A sentence for the visitor that names the remedy; nothing of it goes to the server's log."""

    def __init__(self, message: object):
        super().__init__(str(message), title="That didn't work", print_exception=False)
