"""What Gradio keeps of each page: the latest that it sent to each component, for links that this page does not have."""

import gradio as gr


class AsChosen:
    """Mixed into a component before Gradio's own: hands on what was chosen, for others to check.

    Gradio's would refuse it where the session was forgotten, and with it what there is to choose from.
    """

    def preprocess(self, payload):
        return payload

    def get_block_name(self) -> str:
        return type(self).__bases__[-1].__name__.lower()


def sweep(demo: gr.Blocks) -> None:
    """Lets go of what our own markup was sent in any session: pictures are in it, and maps of them."""
    holder = getattr(demo, "state_holder", None)  # once it is launched
    for session in list(holder.session_data.values()) if holder else []:
        for config in list(session.config_values.values()):
            if config.get("type") == "html":
                config["props"]["value"] = None
