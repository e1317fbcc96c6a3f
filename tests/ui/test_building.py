"""What Gradio makes while the page is laid out, and what of it a browser is told."""

import gradio as gr
from gradio.routes import App

from vit.ui import logs
from vit.ui.building import without_servers
from vit.ui.endpoints import unseen


def add(first: int, second: int) -> int:
    return first + second


def page() -> gr.Blocks:
    """A button and two endpoints."""
    with logs.Blocks() as demo:
        gr.Button("Seen", elem_id="seen")
        with unseen():
            gr.Button().click(add, [gr.Number(), gr.Number()], gr.Number(), api_name="hidden")
        gr.api(add, api_name="add")
    return demo


def test_a_browser_is_told_of_what_it_shows_and_programs_of_every_endpoint():
    demo = page()
    told = demo.config["page"][""]
    names = {component["id"]: component["type"] for component in demo.config["components"]}
    assert [names[one] for one in told["components"]] == ["button"]
    assert [names[child["id"]] for child in told["layout"]["children"]] == ["button"]
    assert len(told["dependencies"]) == 2
    described = demo.get_api_info(page="")["named_endpoints"]
    assert {name: len(endpoint["parameters"]) for name, endpoint in described.items()} == {"/hidden": 2, "/add": 2}


def test_a_page_that_is_laid_out_without_a_server_is_served_all_the_same():
    with without_servers():
        demo = page()
        demo.queue()
        assert demo.app is None
    assert isinstance(App.create_app(demo), App)
