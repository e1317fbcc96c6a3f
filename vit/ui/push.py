"""Pushing a model to the visitor's own account on the Hub, with a token that is used once."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path

import gradio as gr

from vit.live.space import SIGNS_IN
from vit.ui import pictures
from vit.ui.errors import alert
from vit.ui.quiet import QUIET
from vit.weights import hub


def build(key: gr.State, push: Callable[[str, str, str, bool], str]) -> gr.Button:
    """Lays out the fields, folded, and returns the button.

    push: called with the key, repository, token and whether it is to be private.
    """
    with gr.Accordion("Push to your Hugging Face account", open=False):
        if SIGNS_IN:
            gr.LoginButton(size="md", variant="secondary")
        name = gr.Textbox(label="Repository", placeholder="my-first-vit", info="Made in your account if it's new.")
        pasted = gr.Textbox(
            label="Access token",
            type="password",
            info="One that may write, from huggingface.co/settings/tokens. Used once; neither logged nor kept.",
            visible=not SIGNS_IN,
        )
        private = gr.Checkbox(False, label="Private")
        button = gr.Button("Push", size="md")
        pushed = pictures.html()

    def push_it(entered: dict, signed_in: gr.OAuthToken | None) -> dict:
        if SIGNS_IN and signed_in is None:
            return {pushed: alert("Sign in with the button above first.")}
        token = signed_in.token if SIGNS_IN and signed_in else entered[pasted]
        return {pushed: push(entered[key], entered[name], token, entered[private]), pasted: ""}

    button.click(push_it, {key, name, pasted, private}, {pushed, pasted}, trigger_mode="once", **QUIET)
    return button


def push_folder(find: Callable[[], AbstractContextManager[Path]], name: str, token: str, private: bool) -> str:
    """What came of it. find: the model's folder; raises ValueError where there is none, OSError on a full disk."""
    try:
        with find() as folder:
            address = hub.push(folder, name, token, private)
    except ValueError as error:
        return alert(error)
    except OSError as error:
        return alert(f"The weights can't be written on the server ({error.strerror}); try again later.")
    return f'<p class="v-right">Pushed: <a href="{escape(address)}" target="_blank">{escape(address)}</a></p>'
