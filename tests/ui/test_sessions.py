"""What Gradio keeps of a page: what was chosen, and none of the pictures that it was sent."""

import gradio as gr
import pytest
from gradio_client import Client

from vit.ui import pictures, sessions


@pytest.fixture
def demo():
    with gr.Blocks() as demo:
        name, view, choice, count = gr.Textbox(), pictures.html(), gr.Dropdown(["a"]), gr.State(0)
        name.submit(lambda name: {"image": f"data:{name}"}, name, view, api_name="show")
        name.submit(lambda name: gr.Dropdown(["a", name]), name, choice, api_name="offer")
        choice.change(
            lambda choice, count: (f"{choice} {count}", count + 1), [choice, count], [name, count], api_name="choose"
        )
    sessions.install()
    demo.launch(prevent_thread_lock=True, quiet=True)
    yield demo
    demo.close()


def test_no_picture_that_a_session_was_sent_is_kept_and_the_next_one_is_answered(demo):
    client = Client(demo.local_url, verbose=False)
    for name in ("first", "second"):
        assert client.predict(name, api_name="/show") == {"image": f"data:{name}"}
        [session] = demo.state_holder.session_data.values()
        assert not session.config_values


def test_what_a_session_may_choose_and_its_state_stay_its_own(demo):
    mine, theirs = (Client(demo.local_url, verbose=False) for _ in range(2))
    mine.predict("b", api_name="/offer")
    assert [mine.predict("b", api_name="/choose") for _ in range(2)] == ["b 0", "b 1"]
    with pytest.raises(Exception, match="not in the list of choices"):
        theirs.predict("b", api_name="/choose")
    assert theirs.predict("a", api_name="/choose") == "a 0"
