"""The page: the line on top, the tabs, and what ties them together: one model and one picture for all of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from vit.interpret.analysis import Analysis
from vit.live import datasets, models, uploads
from vit.live.health import health
from vit.live.models import RunNames
from vit.ui import chooser, glossary, guard, intro, links, logs, pictures, scripts, sessions, theme, top
from vit.ui.analysis import payload, predict, recall, sweep
from vit.ui.attention import tab as attention
from vit.ui.building import without_servers
from vit.ui.checks import check, checked, whole
from vit.ui.classify import answer, gallery
from vit.ui.classify import tab as classify
from vit.ui.errors import BadInput, as_bad_input
from vit.ui.lesson import experiments
from vit.ui.lesson import payload as lesson_payload
from vit.ui.lesson import tab as lesson
from vit.ui.own import tab as own
from vit.ui.pictures import Picker, Picture
from vit.ui.train import outcome, watching
from vit.ui.train import tab as train

HERE = Path(__file__).parent
HEALTH = "/gradio_api/health"  # below Gradio's own prefix: what it passes on to Python where Node renders the pages
SESSIONS = 1000  # pages whose choices Gradio keeps, the latest in use

DECIMAL_KEYBOARD = "() => { document.querySelector('#minutes :is(input, textarea)').inputMode = 'decimal'; }"
KEEPING = uploads.EVERY, uploads.KEPT  # of files that visitors sent: between two looks, and how long
QUIET = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
LATEST = {"trigger_mode": "always_last"}  # of what has no more to say than its inputs


def launch(demo: gr.Blocks, **options) -> tuple:
    """Serves the page; options are launch()'s own, such as share, server_name and server_port."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    guard.install(demo)
    sessions.install()
    return demo.launch(
        theme=theme.theme(),
        css_paths=[HERE / "style.css", *(HERE / name / f"{name}.css" for name in links.TABS)],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,  # a Space asks for it; Gradio's reset then comes after our styles, and buttons lose borders
        max_file_size=classify.LARGEST,
        state_session_capacity=SESSIONS,
        footer_links=["api", "gradio", "settings"],
        app_kwargs={
            "routes": [Route(HEALTH, lambda request: JSONResponse(health()))],
            "middleware": [Middleware(guard.Bodies)],
        },
        **options,
    )


@without_servers()
def build() -> gr.Blocks:
    """The whole page."""
    with logs.Blocks(title="Vision Transformer, live", analytics_enabled=False, delete_cache=KEEPING) as demo:
        page = lay_out()
        page.wire(demo)
        gr.api(about, api_name="about", concurrency_limit=None)
    watching.build(demo)
    uploads.look(let_go)
    # Whoever called a function directly would pass all limits by. What waits is bounded by kind in guard.Queue.
    return demo.queue(default_concurrency_limit=4, max_size=2000, api_open=False)


def let_go(now: float) -> None:
    """Lets go of what was made of uploads that are to be gone by now, as time.time() says it, wherever it is kept."""
    sweep(now)
    answer.sweep()


class Page(NamedTuple):
    """The components of the page, and one model and one picture for all tabs; handlers return {component: value}.

    number: how often other pictures were asked for. run_names: what the page calls the runs whose models it offers.

    Classify and Attention are always given all that they show: what is left out costs a tab that was never opened its
    properties.
    """

    tabs: gr.Tabs
    status: gr.HTML
    notice: gr.HTML
    words: gr.HTML
    training: train.Tab
    owning: own.Tab
    classifying: classify.Tab
    attending: attention.Tab
    lesson: lesson.Tab
    picture: gr.State
    number: gr.State
    run_names: gr.State

    @property
    def picker(self) -> Picker:
        return self.attending.picker

    @property
    def models(self) -> list[gr.Dropdown]:
        return [self.classifying.model, self.picker.model]

    @property
    def picture_views(self) -> list:
        """What changes with the picture."""
        return [self.picture, self.classifying.result, *self.inside]

    @property
    def inside(self) -> list[gr.HTML]:
        """What shows how the model came to its answer, and what its words are there."""
        return [self.attending.view, self.lesson.view, self.words]

    @property
    def model_views(self) -> list:
        """What changes with the model."""
        galleries = [self.classifying.gallery, self.picker.gallery]
        return [self.status, self.number, self.run_names, *self.models, *galleries, *self.picture_views]

    def wire(self, demo: gr.Blocks) -> None:
        """Opening the page sets the run's id, and so does Start; whatever set it, one chain follows the run."""
        # Gradio's "always_last" sends what the first of several events said once more, and "once" drops the later ones.
        training, latest, each = self.training, {**QUIET, **LATEST}, {**QUIET, "trigger_mode": "multiple"}
        chosen = [self.number, self.picture, self.run_names]
        module = scripts.load(HERE / "script" / "gallery.js")
        unmark = f"async (...inputs) => {{ (await {module}).mark(null); return inputs; }}"
        picker, classifying = self.picker, self.classifying
        for model in self.models:
            model.input(self.show, [model, *chosen], self.model_views, **each)
        self.answer(classifying.gallery.pick, self.pick, classifying.model, **each)
        self.answer(classifying.result.pick, self.pick, classifying.model, **each)
        self.answer(picker.gallery.pick, self.pick, picker.model, **each)
        self.answer(classifying.input.upload, self.upload, [classifying.model, classifying.input], js=unmark, **each)
        self.answer(picker.upload.upload, self.upload, [picker.model, picker.upload], js=unmark, **each)
        framed = [classifying.model, self.picture]
        self.answer(classifying.result.frame, self.frame, framed, **each)
        self.wire_experiments()
        classifying.result.inside(lambda: gr.Tabs(selected="attention"), None, self.tabs, **QUIET)
        resized = [picker.model, *chosen]
        self.attending.view.resize(self.resize, resized, self.model_views, **each)
        turned = [picker.model, self.number, self.run_names]
        picker.other.click(self.turn_page, turned, self.model_views, **latest)

        self.wire_others(picker)
        run, model = [training.run_id, training.owned], self.classifying.model
        followed = training.run_id.change(training.watch, run, training.views, trigger_mode="multiple", **QUIET)
        followed.success(self.adopt, [*run, model, *chosen], self.model_views, **QUIET)
        owned = [*self.model_views, *self.owning.learned]
        self.owning.view.learned(self.take_own, chosen, owned, **each)
        self.owning.view.gone(self.leave_own, [self.classifying.model, *chosen], owned, **each)

        demo.load(None, js=DECIMAL_KEYBOARD)
        # First what is on screen: what the other tabs show is much more, and takes longer to send and to take in.
        ready = demo.load(training.open, training.owned, training.opened, **QUIET)
        opened = ready.success(self.open, training.owned, self.model_views, **QUIET)
        turned = opened.success(training.turn_to, [training.run_id, training.owned], training.run_id, **QUIET)
        data = turned.success(top.watch_data, training.form["dataset"], self.notice, **QUIET)
        data.success(training.settle, {*training.form.values(), training.run_id}, training.settled, **QUIET)

    def wire_experiments(self) -> None:
        """The lesson fills in the form, which then says what it amounts to."""
        training = self.training
        filled = [self.tabs, *(training.form[name] for name in experiments.BASE)]
        event = self.lesson.view.fill(self.fill, None, filled, **QUIET)
        event.success(training.changed, {*training.form.values(), training.run_id}, training.figures, **QUIET)

    def wire_others(self, picker: Picker) -> None:
        """Models from elsewhere: looked up when named, then fetched or unpacked, then chosen everywhere."""
        others, chosen = picker.others, [self.number, self.picture, self.run_names]
        others.repository.input(chooser.look_up, others.repository, others.note, preprocess=False, **QUIET)
        told = [others.note, others.fetched]
        fetched = others.fetch.click(
            chooser.fetch, others.repository, told, preprocess=False, **{**QUIET, **chooser.BUSY}
        )
        fetched.success(self.take, [others.fetched, *chosen], self.model_views, **QUIET)
        others.archive.upload(self.open_zip, [others.archive, *chosen], self.model_views, **QUIET)

    @checked
    def take(self, key: str, number: int, picture: Picture | None, run_names: RunNames) -> dict:
        """Makes a model that was fetched the chosen one."""
        return self.show(key, number, picture, {**run_names, key: models.called(key)})

    @checked
    def take_own(self, number: int, picture: Picture | None, run_names: RunNames, event: gr.EventData) -> dict:
        """Makes one of the models that learned a visitor's own pictures the chosen one."""
        key, called = own.names(event)
        return {**self.show(key, number, picture, {**run_names, **called}), **self.owning.hand_out(key)}

    @checked
    def leave_own(self, key: str | None, number: int, picture: Picture | None, run_names: RunNames) -> dict:
        """Lets another model be the chosen one where that is deleted."""
        there = key if key and models.available(key) else models.default()
        return {**self.show(there, number, picture, run_names), **self.owning.withdraw()}

    @checked
    def open_zip(self, archive: str, number: int, picture: Picture | None, run_names: RunNames) -> dict:
        """Makes the model in a zip the chosen one."""
        key = chooser.unpack(archive)
        return self.show(key, number, picture, {**run_names, key: "Your own"})

    def answer(self, event: Callable, handler: Callable, inputs: object, **options) -> None:
        """What a picture is answered with: what the model says at once, then, with more to compute, its attention."""
        said = event(handler, inputs, [self.picture, self.classifying.result, self.classifying.input], **options)
        about = [self.classifying.model, self.picture]
        said.success(self.look_inside, about, self.inside, **QUIET, **LATEST)
        module = scripts.load(HERE / "script" / "gallery.js")
        refuse = f"async () => {{ (await {module}).refuse(); return []; }}"
        # A browser can't show what is no picture.
        said.failure(lambda: None, None, self.classifying.input, js=refuse, **QUIET)

    @checked
    def open(self, owned: dict[str, str], request: gr.Request) -> dict:
        """What a visitor meets beside the Train tab's form: a model and a picture, both drawn."""
        run_id = train.run_to_open(owned, request)
        run_names: RunNames = {}
        for owned_id in filter(models.ended, owned):
            run_names = models.name_run(run_names, owned_id, own=True)
        key, picture = links.linked(request.query_params)
        if models.ended(run_id) and "model" not in request.query_params:
            key = run_id
        if key and models.ended(key):
            run_names = models.name_run(run_names, key, own=False)
        elif key and key not in models.shipped():
            run_names = {**run_names, key: models.called(key)}
        return self.show(key, 0, picture, run_names)

    @checked
    def show(self, key: str | None, number: int, picture: Picture | None, run_names: RunNames) -> dict:
        """Everything that depends on model and picture; without a picture, the gallery's first."""
        source = pictures.gallery_source(key)
        if picture is None or picture[0] not in ("upload", source):
            picture = (source, pictures.offered(key, source, number)[0])
        choices = models.choices(run_names)
        model = gr.Dropdown(choices, value=key)
        return {
            self.status: top.status_line(key, run_names),
            self.number: number,
            self.run_names: run_names,
            **dict.fromkeys(self.models, model),
            self.classifying.gallery: gallery.opening(key, picture, choices),
            self.picker.gallery: pictures.gallery(key, number, picture),
            self.picture: picture,
            self.classifying.result: self.said(key, picture),
            **self.look_inside(key, picture),
        }

    def said(self, key: str | None, picture: Picture) -> dict:
        """What the model says of a picture."""
        if key is None:
            return classify.no_model()
        prediction = predict(key, picture)
        if models.headless(prediction.model):
            return {"message": models.HEADLESS}
        return answer.payload(prediction, key, picture)

    @checked
    def attend(self, key: str | None, picture: Picture | None) -> dict:
        """What there is to see of the model's attention to it."""
        if key is None or picture is None:
            return attention.no_model()
        prediction = predict(key, picture)
        return payload(prediction, key, picture) if isinstance(prediction, Analysis) else attention.no_attention()

    @checked
    def teach(self, key: str | None, picture: Picture | None) -> dict:
        """The lesson on it."""
        if key is None or picture is None:
            return lesson.no_model()
        prediction = predict(key, picture)
        if not isinstance(prediction, Analysis):
            return lesson.no_attention()
        return lesson_payload.opening(prediction, key, picture)

    def look_inside(self, key: str | None, picture: Picture | None) -> dict:
        views = {self.attending.view: self.attend(key, picture), self.lesson.view: self.teach(key, picture)}
        return {**views, self.words: glossary.about(key, picture)}

    @checked
    def fill(self, event: gr.EventData) -> dict:
        """Fills in the form of the Train tab for an experiment of the lesson, and opens that tab."""
        run = experiments.RUNS.get(check("run", check("event", event._data, dict).get("run"), str))
        if run is None:
            raise BadInput("There is no such experiment; choose one of the lesson's.")
        form = {self.training.form[name]: value for name, value in run.form.items()}
        return {self.tabs: gr.Tabs(selected="train"), **form}

    def draw(self, key: str | None, picture: Picture) -> dict:
        """The answer to one picture; the input is empty again, as the picture is shown with its answer."""
        return {self.picture: picture, self.classifying.result: self.said(key, picture), self.classifying.input: None}

    @checked
    def pick(self, key: str | None, event: gr.EventData) -> dict:
        """A click in a gallery."""
        picked = check("event", event._data, dict)  # EventData's own look-up fails on what is no dict
        if "token" in picked:
            return self.draw(key, recall(check("token", picked["token"], str))[1])
        picture = pictures.named(check("picture", picked.get("picture"), str))
        if picture is None or not pictures.exists(picture):
            raise BadInput("This picture is not here any more; choose another.")
        return self.draw(key, picture)

    @checked
    def frame(self, key: str | None, picture: Picture | None, event: gr.EventData) -> dict:
        """Another square of what a visitor sent."""
        if picture is None or picture[0] != "upload":
            raise BadInput("This picture is not here any more; send it again.")
        return self.draw(key, ("upload", picture[1], answer.frame(check("event", event._data, dict).get("frame"))))

    @checked
    def resize(self, key: str, number: int, picture: Picture | None, run_names: RunNames, event: gr.EventData) -> dict:
        """The chosen model at another size of pictures."""
        size = whole("size", check("event", event._data, dict).get("size"), 1, 4096)
        with as_bad_input():
            key = models.at_size(key, size)
        return self.show(
            key, number, picture, {**run_names, key: models.called(key)} if models.size_of(key) else run_names
        )

    @checked
    def turn_page(self, key: str | None, number: int, run_names: RunNames) -> dict:
        return self.show(key, number + 1, None, run_names)

    @checked
    def upload(self, key: str | None, path: str) -> dict:
        return self.draw(key or models.default(), ("upload", path))  # the list is empty while the page opens

    @checked
    def adopt(
        self,
        run_id: str,
        owned: dict[str, str],
        key: str | None,
        number: int,
        picture: Picture | None,
        run_names: RunNames,
    ) -> dict:
        """Makes a run's model the chosen one everywhere, if it left one; else that stays the chosen one."""
        if models.ended(run_id):
            key, run_names = run_id, models.name_run(run_names, run_id, run_id in owned)
        return self.show(key, number, picture, run_names)


def lay_out() -> Page:
    """Everything that there is to see, within a gr.Blocks."""
    with gr.Row(elem_id="top"):
        walk = scripts.mount(HERE / "script" / "tabs.js", {})
        gr.HTML("<h1>Vision Transformer, live</h1>", js_on_load=walk, apply_default_css=False, elem_id="title")
        status, notice = pictures.html("status"), pictures.html("notice")
        intro.build()
        words = glossary.build()
    with gr.Tabs(overflow_behavior="wrap") as tabs:  # a link to a tab finds none in a menu
        with gr.Tab("Train", id="train"):
            training = train.build()
        with gr.Tab("Your pictures", id="own"):
            owning = own.build()
        with gr.Tab("Classify", id="classify"):
            classifying = classify.build()
        with gr.Tab("Attention", id="attention"):
            attending = attention.build()
        with gr.Tab(lesson.TITLE, id="lesson"):
            learning = lesson.build()
    picture, number, run_names = gr.State(None), gr.State(0), gr.State({})
    return Page(
        tabs, status, notice, words, training, owning, classifying, attending, learning, picture, number, run_names
    )


def about() -> dict:
    """What there is here: models for classify and attention, datasets and how they stand, device, longest run."""
    return {
        "models": models.shipped(),
        "data": {name: source.state for name, source in datasets.SOURCES.items()},
        "device": ", ".join([top.device(), *map(str, top.tried())]),
        **outcome.limits(),
    }
