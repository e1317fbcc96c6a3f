"""How the page's ES modules reach a browser: Gradio runs a script as a function's body, which cannot import."""

import functools
import json
import mimetypes
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from vit.ui.errors import alert

HERE = Path(__file__).parent

# All modules are asked for at once, the wanted one first: from import to import they would come one after the other.
# The address of the server's root is Gradio's own, as the page may be served below a path or through a proxy.
LOAD = """Promise.all(%(modules)s.map((module) => {
  const root = new URL(window.gradio_config.root, location.href);
  const origin = root.hostname === location.hostname ? location.origin : root.origin;
  return import(origin + root.pathname.replace(/\\/$/, "") + %(folder)s + module);
})).then(([module]) => module)"""

MOUNT = """%(load)s.then(
  ({ mount }) => mount({ element, props, trigger, server, watch, constants: %(constants)s }),
  () => { element.innerHTML = %(failed)s; },
);"""

FAILED = "This part of the page could not be loaded. Reload the page."


@functools.cache
def _served() -> tempfile.TemporaryDirectory:
    """A copy of all modules in a folder that holds nothing else, as everything in it can be fetched.

    Its name is new at each start of the server: modules import each other by relative paths, which carry no version,
    and a browser must not mix those that it kept with those of a newer version.
    """
    folder = tempfile.TemporaryDirectory(prefix="vit-live-", ignore_cleanup_errors=True)
    for module in HERE.rglob("*.js"):
        copy = Path(folder.name, module.relative_to(HERE))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(module, copy)
    mimetypes.add_type("text/javascript", ".js")  # Windows may have none for it, and a browser demands one
    gr.set_static_paths(folder.name)
    return folder


def load(module: Path) -> str:
    """JavaScript: the promise of the module that lies in this file. Raises ValueError if there is none."""
    modules = {path.relative_to(HERE).as_posix() for path in HERE.rglob("*.js")}
    name = module.relative_to(HERE).as_posix()
    if name not in modules:
        raise ValueError(f"There is no script {module}; there are {', '.join(sorted(modules))}")
    folder = f"/gradio_api/file={quote(Path(_served().name).resolve().as_posix())}/"
    return LOAD % {"modules": json.dumps([name, *sorted(modules - {name})]), "folder": json.dumps(folder)}


def mount(module: Path, constants: dict) -> str:
    """What a gr.HTML runs to hand itself to a module's function mount.

    constants: what the module is told besides. As a property of the component it could come after the script ran.
    """
    return MOUNT % {"load": load(module), "constants": json.dumps(constants), "failed": json.dumps(alert(FAILED))}
