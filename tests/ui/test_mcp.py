"""The endpoints as tools of the Model Context Protocol, tried with a real client."""

import ast
import asyncio
import base64
import io

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from PIL import Image

from tests.conftest import serving

pytestmark = pytest.mark.slow  # opens a page for each test


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home, runs = (str(tmp_path_factory.mktemp(name)) for name in ("hf", "runs"))
    with serving("--mcp", HF_HOME=home, HF_HUB_OFFLINE="1", VIT_RUNS_FOLDER=runs) as url:
        yield f"{url.rstrip('/')}/gradio_api/mcp/"


def talk(address: str, *calls: tuple[str, dict]) -> tuple[dict, list]:
    """The tools by name, and what each call gives."""

    async def session():
        async with streamablehttp_client(address) as (read, write, _), ClientSession(read, write) as client:
            await client.initialize()
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            return tools, [await client.call_tool(name, inputs) for name, inputs in calls]

    return asyncio.run(session())


@pytest.fixture(scope="module")
def heart(shapes) -> str:
    index = (shapes.test.labels == shapes.test.classes.index("heart")).nonzero()[0].item()
    file = io.BytesIO()
    Image.fromarray(shapes.test.images[index].permute(1, 2, 0).numpy()).resize((300, 200)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_from_the_list_of_tools_alone_one_gets_class_confidence_and_map_in_two_calls(address, heart):
    about = {"image": heart, "model": "shapes"}
    where = {**about, "layer": 3, "head": 0, "query": "", "mode": "heads"}
    tools, (named, looked) = talk(address, ("classify", about), ("attention", where))
    for name, inputs in {"classify": about, "attention": where}.items():
        assert tools[name].description and set(tools[name].inputSchema["properties"]) >= set(inputs)
    assert "confidence" in tools["classify"].description and "Where a token looks" in tools["attention"].description
    said = ast.literal_eval(named.content[0].text)
    assert said["label"] == "heart" and said["confidences"][0]["confidence"] > 0.5
    numbers = ast.literal_eval(looked.content[0].text)[0]
    assert [len(row) for row in numbers["grid"]] == [8] * 8 and 0.5 < sum(map(sum, numbers["grid"])) <= 1.0001


def test_a_wrong_call_is_answered_with_the_remedy_and_the_servers_own_network_stays_closed(address, heart):
    inside = {"image": address.replace("gradio_api/mcp/", "config"), "model": "shapes"}
    _, (wrong, closed) = talk(address, ("classify", {"image": heart, "model": "nothing"}), ("classify", inside))
    assert wrong.isError and "choose" in wrong.content[0].text
    assert closed.isError and "label" not in closed.content[0].text
