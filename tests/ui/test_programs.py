"""What the README tells programs to ask of a server works as it stands; the Classify tab's endpoints."""

import json
import subprocess
import zipfile

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.test_readme import blocks
from vit.data import load
from vit.evaluation import evaluate
from vit.model import Classifier


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the README's lines find where they are run."""
    Image.new("RGB", (300, 200), "orange").save(tmp_path / "cat.jpg")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.write(tmp_path / "cat.jpg", "a/one.jpg")
        archive.writestr("torn.png", b"%PDF-1.7")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readmes_lines_for_gradio_client_run(app_url, folder, capsys, shapes):
    (code,) = (block for block in blocks("python") if "gradio_client" in block)
    exec(code.replace("http://127.0.0.1:7860", app_url), {})
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("Loaded as API")]
    label, one, two, torn, accuracy, weights, p_value = lines
    assert label in shapes.test.classes and one == f"cat.jpg {label}" and two == f"a/one.jpg {label}"
    assert torn.startswith("torn.png is a PDF document") and float(accuracy) > 0.9 and float(p_value) == 1
    assert sum(json.loads(weights)) == pytest.approx(1, abs=1e-3)


def test_the_readmes_lines_for_curl_run(app_url, folder, shapes):
    (code,) = (block for block in blocks("sh") if "curl" in block)
    code = code.replace("http://127.0.0.1:7860", app_url.rstrip("/"))
    done = subprocess.run(["bash", "-ec", code], capture_output=True, text=True, check=True, cwd=folder)
    event, data = done.stdout.strip().splitlines()
    assert event == "event: complete"
    assert json.loads(data.removeprefix("data: "))[0]["label"] in shapes.test.classes


def test_evaluate_gives_what_the_package_gives(client):
    model, test = Classifier.from_pretrained("checkpoints/shapes"), load("shapes").test
    expected = evaluate(model, test, precision="fp32")
    said = client.predict("shapes", api_name="/evaluate")
    assert said["accuracy"] == expected.accuracy and said["confusion"] == expected.confusion.tolist()
    assert said["loss"] == pytest.approx(expected.loss, abs=1e-5)
    assert list(said["per_class"].values()) == pytest.approx(expected.per_class)


@pytest.mark.parametrize(
    ("name", "inputs", "says"),
    [
        ("/evaluate", ["nothing"], "No model is called 'nothing'; choose"),
        ("/compare", ["shapes", "nothing"], "No model is called 'nothing'; choose"),
        ("/compare", ["shapes", "cifar10"], "CIFAR-10's test pictures can't be had here .*; choose another model"),
        ("/classify_batch", [[], "shapes"], "There is no picture; send some"),
    ],
)
def test_what_can_not_be_answered_is_a_sentence(client, name, inputs, says):
    with pytest.raises(AppError, match=says):
        client.predict(*inputs, api_name=name)


def test_a_batch_names_no_folder_of_the_server(client, folder):
    for row in client.predict(
        [handle_file("cat.jpg"), handle_file("pictures.zip")], "shapes", api_name="/classify_batch"
    ):
        assert "gradio" not in row["file"] and not row["file"].startswith("/")
