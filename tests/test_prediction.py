"""Many picture files: in batches, in order, and a broken one is one line."""

import csv
import io
import zipfile

import torch
from PIL import Image

from vit.data.pictures import read_picture
from vit.prediction import Table, answer_files


def pictures(folder, n: int) -> list:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        Image.new("RGB", (40 + i, 40), (20 * i % 256, 90, 200 - i)).save(folder / f"{i:03}.png")
    return sorted(folder.iterdir())


def test_files_folders_and_archives_give_what_each_picture_alone_gives(small_vit, tmp_path):
    files = pictures(tmp_path / "folder", 7)
    small_vit.classes = tuple("abcdefghij")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    with torch.no_grad():
        pixels = torch.stack([read_picture(file, 32) for file in files])
        alone = small_vit.probabilities(small_vit(small_vit.normalize(pixels)))
    for paths in (files, [tmp_path / "folder"], [tmp_path / "a.zip"], [*files[:3], *files[3:]]):
        found = list(answer_files(small_vit, paths, batch=3))
        torch.testing.assert_close(torch.stack([answer.probabilities for answer in found]), alone, atol=1e-6, rtol=1e-5)
        assert [answer.name.rpartition("/")[2] for answer in found] == [file.name for file in files]


def test_a_broken_file_among_good_ones_is_one_line(small_vit, tmp_path):
    files = pictures(tmp_path / "folder", 5)
    files[2].write_bytes(b"%PDF-1.7\n")
    found = list(answer_files(small_vit, [tmp_path / "folder", tmp_path / "none.png"], batch=2))
    assert [answer.probabilities is None for answer in found] == [False, False, True, False, False, True]
    assert found[2].reason.startswith("is a PDF document") and found[5].reason.startswith("does not exist")


def test_empty_folders_and_archives_say_so(small_vit, tmp_path):
    (tmp_path / "empty").mkdir()
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    (tmp_path / "torn.zip").write_bytes(b"PK\3\4")
    reasons = [answer.reason for answer in answer_files(small_vit, sorted(tmp_path.iterdir()))]
    assert ["empty folder" in reasons[0], "holds no file" in reasons[1], "no intact ZIP" in reasons[2]] == [True] * 3


def test_no_more_than_a_batch_is_read_ahead(small_vit, tmp_path):
    files, asked = pictures(tmp_path / "folder", 20), []

    def telling():
        for file in files:
            asked.append(file)
            yield file

    answers = answer_files(small_vit, telling(), batch=4)
    next(answers)
    assert len(asked) == 4


def test_the_table_has_a_row_a_file_and_a_column_a_class(small_vit, tmp_path):
    files = pictures(tmp_path / "folder", 2)
    (tmp_path / "folder" / 'z, "quoted".png').write_bytes(b"")
    small_vit.classes, file = tuple("abcdefghij"), io.StringIO()
    table = Table(file, small_vit.classes)
    for found in answer_files(small_vit, [tmp_path / "folder"]):
        table.add(found)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["file"] for row in rows[:2]] == list(map(str, files))
    assert abs(sum(float(rows[0][name]) for name in small_vit.classes) - 1) < 1e-4
    assert rows[0][rows[0]["answer"]] == rows[0]["confidence"]
    assert rows[2]["answer"] == "" and "empty file" in rows[2]["error"] and rows[2]["file"].endswith('z, "quoted".png')
