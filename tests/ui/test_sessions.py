"""What Gradio keeps of a page's session: pictures that it was sent are let go of, and the page goes on."""

import gradio as gr
from gradio_client import Client

from vit.ui import pictures, sessions


def test_a_picture_that_a_session_was_sent_is_let_go_of_and_the_next_one_is_answered():
    with gr.Blocks() as demo:
        name, view = gr.Textbox(), pictures.html()
        name.submit(lambda name: {"image": f"data:{name}"}, name, view, api_name="show")
    sessions.sweep(demo)  # before it is launched
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        client = Client(url, verbose=False)

        def kept() -> list:
            every = demo.state_holder.session_data.values()
            return [
                config["props"]["value"]
                for session in every
                for config in session.config_values.values()
                if config["type"] == "html"
            ]

        client.predict("first", api_name="/show")
        assert kept() == [{"image": "data:first"}]
        sessions.sweep(demo)
        assert kept() == [None]
        client.predict("second", api_name="/show")
        assert kept() == [{"image": "data:second"}]
    finally:
        demo.close()
