"""What the README tells people to type works as it stands."""

import re
import shlex

import pytest

import app
from tests.conftest import ROOT
from vit import data
from vit.cli import build_parser

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_the_python_example_runs(tmp_path, monkeypatch, capsys, shapes):
    (code,) = (block for block in blocks("python") if "minutes=1)" in block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "load", lambda _: data.Splits(*(split.take(slice(200)) for split in shapes)))
    names = {}
    exec(code.replace("minutes=1)", "minutes=0.001)"), names)
    assert names["logits"].shape == (4, 10) and len(names["maps"]) == 3
    assert 0 <= float(capsys.readouterr().out.split()[-1]) <= 1 and (tmp_path / "my-vit" / "config.json").exists()


def test_the_figure_of_a_step_is_drawn_in_five_lines(tmp_path, monkeypatch, shapes, small_vit):
    (code,) = (block for block in blocks("python") if "asking(" in block)
    monkeypatch.chdir(tmp_path)
    images = small_vit.normalize(shapes.test.images[:4])
    exec(code, {"model": small_vit, "images": images, "splits": shapes})
    lines = [line for line in code.splitlines() if line and not line.startswith("from")]
    assert len(lines) == 5 and (tmp_path / "step-3.png").stat().st_size > 5000


def test_every_command_line_has_flags_that_exist():
    lines = [
        line for line in re.findall(r"python -m vit (\w[^`#\n]*)", README) if "..." not in line and "DIR" not in line
    ]
    assert len(lines) >= 8
    for line in lines:
        build_parser().parse_args(shlex.split(line))


def test_every_limit_is_in_the_readmes_table_and_there_is_no_other():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "vit").rglob("*.py"))
    assert set(re.findall(r"`(VIT_[A-Z_]+)`", README)) == set(re.findall(r"\"(VIT_[A-Z_]+)\"", code))


def test_every_flag_of_the_app_that_the_readme_shows_is_there(capsys):
    with pytest.raises(SystemExit):
        app.main(["--help"])
    helped = capsys.readouterr().out
    shown = set(re.findall(r"--[a-z]+", " ".join(re.findall(r"python app\.py (--[^#\n]*)", README))))
    assert shown == {"--share", "--host", "--auth", "--mcp", "--model"} and all(flag in helped for flag in shown)
