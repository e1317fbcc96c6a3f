"""What is installed: the package in a wheel, outside of the checkout; and facts on which several files must agree."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vit
from tests.conftest import ROOT

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")

# A stand-in for an environment with the package's dependencies alone: nothing else that this one has is found.
DEPENDENCIES_ALONE = """
import sys
class Lacking:
    def find_spec(name, path=None, target=None):
        if name in ("gradio", "matplotlib", "PIL", "pyarrow", "torchvision", "pillow_heif", "pandas", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Lacking)
"""


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def required(lines: list[str]) -> set[str]:
    """Names of packages, without versions; what one extra takes from another is left out."""
    names = {re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith(("-r", "#"))}
    return {name.replace("_", "-") for name in names} - {"vit-live"}


def test_the_requirements_files_name_what_the_project_names(project):
    extras = {name: required(lines) for name, lines in project["optional-dependencies"].items()}
    app = required((ROOT / "requirements.txt").read_text().splitlines())
    assert (
        app == {name.replace("_", "-") for name in required(project["dependencies"])} | extras["data"] | extras["app"]
    )
    assert required((ROOT / "requirements-dev.txt").read_text().splitlines()) == extras["dev"] | extras["export"]


def test_version_and_license_are_everywhere_the_same(project):
    version = vit.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in citation
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nlicense: {project['license']}\n" in citation and (ROOT / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.slow
def test_the_wheel_gives_the_package_and_a_command_outside_of_the_checkout(tmp_path):
    def run(*command: object, **variables: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), **variables}
        return subprocess.run([*map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True)

    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    built = run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ROOT, PYTHONPATH="")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("vit_live-*.whl")
    installed = run(*pip, "install", "--no-deps", "--no-index", "--target", tmp_path / "site", wheel)
    assert installed.returncode == 0, installed.stderr

    listed = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site" / "vit").rglob("*") if path.is_file()}
    ours = subprocess.run(["git", "ls-files", "vit"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert {Path(name) for name in ours} <= listed, "every script, style and template is in the wheel"

    where = run(sys.executable, "-c", "import vit; print(vit.__file__, vit.vit_tiny().head.out_features)")
    assert where.stdout.split() == [str(tmp_path / "site" / "vit" / "__init__.py"), "10"], where.stderr
    command = (sys.executable, tmp_path / "site" / "bin" / "vit")
    helped = run(*command, "--help")
    assert helped.returncode == 0 and helped.stdout.startswith("usage: vit ")
    assert run(*command, "train", "--help").stdout.startswith("usage: vit train")

    (tmp_path / "site" / "sitecustomize.py").write_text(DEPENDENCIES_ALONE)
    bare = run(*command, "--help")
    assert bare.returncode == 0, bare.stderr
    refused = run(*command, "train", "--dataset", "shapes", "--out", tmp_path / "run")
    assert refused.returncode == 2
    said = refused.stderr.splitlines()[-1]  # after the progress of what took its time
    assert re.fullmatch(r"train: needs \w+, which is not installed; it comes with the extra vit-live\[data\]", said)
    alone = "import vit.training, vit.data; vit.data.load('shapes', validation_size=0); vit.vit_live()"
    assert run(sys.executable, "-c", alone).stderr == ""
