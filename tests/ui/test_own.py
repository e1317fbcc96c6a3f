"""Teaching by programs, and what the page's script asks: endpoints through a real server, questions as they come."""

import base64
import time

import pytest
import torch
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from vit.data.drawings import drawings
from vit.evaluation import Evaluation
from vit.live import collection, models, runs, taught, teaching, uploads
from vit.ui import analysis, links, logs, page
from vit.ui.errors import BadInput
from vit.ui.own import breaking, learning, tab
from vit.ui.own import pictures as sent
from vit.weights import hub


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The drawings as files, by class."""
    folder, found = tmp_path_factory.mktemp("drawings"), {}
    for name, images in drawings().items():
        found[name] = []
        for i, image in enumerate(images):
            path = folder / f"{name}-{i}.png"
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
            found[name].append(path)
    return found


@pytest.fixture
def sets(monkeypatch):
    monkeypatch.setattr(collection, "_sets", {})


def as_sent(path, name=None) -> dict:
    return {"name": name or path.name, "content": base64.b64encode(path.read_bytes()).decode()}


def test_uploads_of_all_kinds_are_deleted_after_an_hour_by_a_look_every_ten_minutes(monkeypatch):
    class Enough(Exception):
        pass

    def blocks(**options):
        raise Enough(options["delete_cache"])

    monkeypatch.setattr(logs, "Blocks", blocks)
    with pytest.raises(Enough) as built:
        page.build()
    assert built.value.args[0] == (600, 3600) == (uploads.EVERY, uploads.KEPT)


@pytest.mark.slow
def test_a_program_teaches_a_model_its_pictures_and_uses_it(client, files):
    token = ""
    for name in ("fish", "house"):
        said = client.predict([handle_file(path) for path in files[name]], name, token, api_name="/teach_add")
        token = said["token"]
    assert said["classes"] == {"fish": 8, "house": 8} and said["ready"] and "rough" in said["says"]
    run = client.predict(token, "shapes", ["head"], api_name="/teach")
    with pytest.raises(AppError, match="Only the page or program that started"):
        client.predict(run["run_id"], "guess", api_name="/teach_stop")
    while (status := client.predict(run["run_id"], api_name="/teach_status"))["status"] not in ("finished", "failed"):
        time.sleep(0.2)
    way = status["ways"]["head"]
    low, high = way["result"]["interval"]
    assert way["result"]["n"] == 4 and way["result"]["seconds"] > 0
    assert low < way["result"]["accuracy"] < high + 1e-9
    named = client.predict(handle_file(files["fish"][0]), way["model"], api_name="/classify")
    assert {entry["label"] for entry in named["confidences"]} == {"fish", "house"}
    assert way["model"] not in client.predict(api_name="/about")["models"]
    with pytest.raises(AppError, match="Only the page or program that taught"):
        client.predict(way["model"], "guess", api_name="/teach_delete_model")
    assert client.predict(way["model"], run["owner_token"], api_name="/teach_delete_model")["deleted"]
    with pytest.raises(AppError, match="not here any more"):
        client.predict(handle_file(files["fish"][0]), way["model"], api_name="/classify")
    assert client.predict(token, api_name="/teach_delete") == {"deleted": True}
    with pytest.raises(AppError, match="not here any more"):
        client.predict(token, "", None, api_name="/teach")


def test_a_set_is_filled_named_and_emptied_by_the_script(sets, files):
    first = sent.add({"set": "", "class": "fish", "files": [as_sent(path) for path in files["fish"][:3]]})
    token, added = first["set"], first["added"]
    assert len(added) == 3 and added[0]["src"].startswith("data:image/jpeg;base64,")
    assert sent.rename({"set": token, "name": "fish", "new": " Fisch "}) == {"name": "Fisch"}
    standing = sent.standing({"set": token, "names": ["Fisch", "pen"]})
    assert not standing["ready"] and standing["says"] == "“pen” has no picture; add 5 more, or remove the class."
    assert sent.sample({"set": token}) == {"set": token}
    shown = {kind["name"]: len(kind["pictures"]) for kind in sent.collected({"set": token})["classes"]}
    assert shown == {"Fisch": 3, "fish": 5, "house": 8, "tree": 8}  # three of the fish are there already
    sent.remove({"set": token, "ids": [picture["id"] for picture in added]})
    assert sent.standing({"set": token, "names": []})["ready"]
    folder = collection.find(token).folder
    assert sent.delete_now({"set": token}) == {} and not folder.exists()
    assert sent.standing({"set": token, "names": []})["gone"]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"set": "guess", "class": "cup", "files": []}, "not here any more"),
        ({"set": "", "class": "cup", "files": [{"name": "a.png", "content": "?"}]}, "base64"),
        ({"set": "", "class": "cup", "files": [{"name": 3, "content": ""}]}, "name must be a text"),
        ({"set": "", "class": "", "files": []}, "A class needs a name"),
        ({"set": "", "class": "cup", "files": [{}] * 51}, "At most 50 files"),
        ({"set": None, "class": "cup", "files": "all"}, "files must be a list"),
        ("?", "question must be an object"),
    ],
)
def test_a_wrong_question_gets_a_sentence_and_makes_no_set(sets, question, words):
    assert words in sent.add(question)["error"]
    assert not any(map(len, collection._sets.values()))


def test_a_file_that_is_too_large_is_refused_before_it_is_decoded(sets, monkeypatch):
    monkeypatch.setattr(sent, "LARGEST", 300)
    said = sent.add({"set": "", "class": "cup", "files": [{"name": "a.png", "content": "A" * 1000}]})
    assert "has more than 0 MB" in said["error"]


def test_a_picture_is_looked_at_and_covered_and_the_numbers_are_the_models_own(here, files):
    question = {"model": "shapes", "content": as_sent(files["fish"][0])["content"]}
    said = breaking.look(question)
    assert said["grid"] == [8, 8] and len(said["map"]) == 64 and len(said["bars"]) == 5
    covered = breaking.cover(question)
    assert covered["grid"] == [8, 8] and len(covered["map"]) == 64 and min(covered["map"]) >= 0
    name, share = said["bars"][0]
    assert covered["says"].startswith(f"Cover the fifth that it looks at most, and “{name}” goes from {share:.0%} to")
    assert "expected a picture" in breaking.look({**question, "content": base64.b64encode(b"%!PS").decode()})["error"]
    assert "choose" in breaking.look({**question, "model": "nothing"})["error"]


def test_the_three_results_are_compared_no_further_than_they_prove():
    def compared(head: int, scratch: int, n: int) -> str:
        ways = [learning.Way("head"), learning.Way("scratch")]
        for way, right in zip(ways, (head, scratch)):
            way.evaluation = Evaluation(right / n, 1.0, n, 1.0, torch.zeros(2, 2))
        return learning._compared(teaching.Teaching("", "", ways, ("a", "b"), None, status="finished"))

    assert "(head alone) it names 100%" in compared(3, 1, 3) and "the ranges overlap" in compared(3, 1, 3)
    assert "the one from scratch 50%. That is more than luck" in compared(40, 20, 40)


def test_starting_asks_for_ways_that_there_are(here, sets):
    token = sent.sample({"set": ""})["set"]
    for ways, words in (([], "choose one or more"), (["head", "head"], "each once"), (["tail"], "must be one of head")):
        question = {"set": token, "parent": "shapes", "ways": ways}
        assert words in learning.start(question, None)["error"]
    assert not runs.OTHERS and models.shipped()


def test_with_a_model_all_goes_that_is_kept_of_what_it_said(here, small_vit, nothing_kept, monkeypatch):
    key, other = (taught.key_of("secret", way) for way in ("head", "all"))
    for one in (key, other):
        taught.save(one, small_vit)
        for said_of in (one, f"{one}@48px"):
            analysis.predict(said_of, ("shapes", 3))
    assert learning.delete_model({"model": key, "owner": "guess"})["error"].startswith("Only the page")
    assert learning.there({"models": [key, other, "shapes"]}) == {"models": [key, other]}
    assert learning.delete_model({"model": key, "owner": "secret"}) == {}
    assert [kept[0] for kept in analysis._predictions] == [other, f"{other}@48px"]
    assert learning.there({"models": [key, other]}) == {"models": [other]}
    with pytest.raises(BadInput, match="not here any more; learn the pictures again"):
        analysis.predict(key, ("shapes", 3))
    warned = []
    monkeypatch.setattr(links, "warn", warned.append)
    assert (
        links.linked({"model": key})[0] == models.default() and "is not here any more; this is the default" in warned[0]
    )


def test_a_taught_model_is_pushed_from_its_folder_and_a_missing_one_is_named(here, small_vit, monkeypatch):
    monkeypatch.setattr(hub, "push", lambda folder, *asked: f"https://hub/{folder.name}/{asked}")
    key = taught.key_of("secret", "head")
    taught.save(key, small_vit)
    assert f"https://hub/{key}/" in tab.push_taught(key, "mine", "hf_", True)
    assert "learn the pictures again" in tab.push_taught(f"taught-{'a' * 16}", "mine", "hf_", True)
