"""Where what a program's endpoint takes and gives lies: beside the page, so that no browser is told of it."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components.api_component import Api

MARK = "endpoints"
MODEL = (
    "model: a checkpoint's name such as 'shapes', the id of a finished run, with '@' and a step for an earlier moment "
    "that was kept, or '' for the default; with '@48px' for pictures of that size."
)


def unseen() -> gr.Column:
    """A place for such components."""
    return gr.Column(visible=False, elem_classes=MARK)


def leave_out(page: dict[str, Any], blocks: Mapping[int, Block]) -> None:
    """Takes them out of what a browser is told of a page: it would make them all, and look up the events of each."""

    def needed(block: Block) -> bool:
        return not isinstance(block, Api) and MARK not in (getattr(block, "elem_classes", None) or ())

    def kept(node: dict[str, Any]) -> dict[str, Any]:
        children = [kept(child) for child in node.get("children", []) if needed(blocks[child["id"]])]
        return {**node, **({"children": children} if "children" in node else {})}

    def ids(node: dict[str, Any]) -> set[int]:
        return {node["id"]}.union(*map(ids, node.get("children", [])))

    left_out = ids(page["layout"]) - ids(layout := kept(page["layout"]))
    page["layout"], page["components"] = layout, [one for one in page["components"] if one not in left_out]
