"""How the page is built in the time of an empty one."""

import contextlib
from collections.abc import Iterator

from gradio.routes import App


@contextlib.contextmanager
def without_servers() -> Iterator[None]:
    """While the page is laid out: Gradio would make a web server's app each time that a page or the queue is ready.

    launch() makes the one that serves; each takes as long as the components of two tabs.
    """
    create_app = App.create_app
    App.create_app = staticmethod(lambda *args, **options: None)
    try:
        yield
    finally:
        App.create_app = create_app
