"""The page: the line on top, the tabs, and what ties them together: one model and one picture for all of them."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from vit.interpret.analysis import Analysis
from vit.live import datasets, models, uploads
from vit.live.health import health
from vit.ui import chooser, glossary, guard, intro, links, logs, pictures, quiet, scripts, sessions, theme, top, waiting
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
from vit.ui.train import outcome, pitfalls, watching
from vit.ui.train import tab as train
from vit.ui.visit import Visit

HERE = Path(__file__).parent
HEALTH = "/gradio_api/health"  # below Gradio's own prefix: what it passes on to Python where Node renders the pages
SESSIONS = 1000  # pages whose choices Gradio keeps, the latest in use

DECIMAL_KEYBOARD = "() => { document.querySelector('#minutes :is(input, textarea)').inputMode = 'decimal'; }"
FILLED = "() => { document.body.dataset.filled = ''; }"  # all that a page opens with is there
KEEPING = uploads.EVERY, uploads.KEPT  # of files that visitors sent: between two looks, and how long
QUIET = {**quiet.QUIET, "concurrency_limit": None}
LATEST = {**quiet.LATEST, "concurrency_limit": None}


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
    visit: gr.State

    @property
    def picker(self) -> Picker:
        return self.attending.picker

    @property
    def models(self) -> list[gr.Dropdown]:
        return [self.classifying.model, self.picker.model]

    @property
    def picture_views(self) -> list:
        """What changes with the picture."""
        return [self.classifying.result, *self.inside]

    @property
    def inside(self) -> list[gr.HTML]:
        """What shows how the model came to its answer, and what its words are there."""
        return [self.attending.view, self.lesson.view, self.words]

    @property
    def model_views(self) -> list:
        """What changes with the model."""
        galleries = [self.classifying.gallery, self.picker.gallery]
        return [self.status, *self.models, *galleries, *self.picture_views]

    def wire(self, demo: gr.Blocks) -> None:
        """Opening the page sets the run's id, and so does Start; whatever set it, one chain follows the run."""
        # Gradio's "always_last" sends what the first of several events said once more, and "once" drops the later ones.
        training, each, visit = self.training, {**QUIET, "trigger_mode": "multiple"}, self.visit
        unmark = in_galleries("mark(null)")
        picker, classifying = self.picker, self.classifying
        for model in self.models:
            model.input(self.show, [model, visit], self.model_views, **each)
        self.answer(classifying.gallery.pick, self.pick, classifying.model, **each)
        self.answer(classifying.result.pick, self.pick, classifying.model, **each)
        self.answer(picker.gallery.pick, self.pick, picker.model, **each)
        for model, sent in ((classifying.model, classifying.input), (picker.model, picker.upload)):
            self.answer(sent.upload, self.upload, model, sent, js=unmark, **each)
        self.answer(classifying.result.frame, self.frame, classifying.model, **each)
        self.wire_experiments()
        classifying.result.inside(lambda: gr.Tabs(selected="attention"), None, self.tabs, **QUIET)
        self.attending.view.resize(self.resize, [picker.model, visit], self.model_views, **each)
        picker.other.click(self.turn_page, [picker.model, visit], self.model_views, **LATEST)

        self.wire_others(picker)
        training.progress.use(self.use, [training.owned, visit], self.model_views, **each)
        run, model = [training.run_id, training.owned], self.classifying.model
        followed = training.run_id.change(training.watch, run, training.views, trigger_mode="multiple", **QUIET)
        training.start.click(None, None, None, cancels=[followed])  # of the run before, whose data may still be coming
        followed.success(self.adopt, [*run, model, visit], self.model_views, **QUIET)
        owned = [*self.model_views, *self.owning.learned]
        self.owning.view.learned(self.take_own, visit, owned, **each)
        self.owning.view.gone(self.leave_own, [self.classifying.model, visit], owned, **each)

        demo.load(None, js=DECIMAL_KEYBOARD)
        # First what is on screen: what the other tabs show is much more, and takes longer to send and to take in.
        ready = demo.load(training.open, training.owned, training.opened, **QUIET)
        opened = ready.success(self.open, [training.owned, visit], self.model_views, **QUIET)
        turned = opened.success(training.turn_to, [training.run_id, training.owned], training.run_id, **QUIET)
        data = turned.success(top.watch_data, training.form["dataset"], self.notice, **QUIET)
        settled = data.success(training.settle, {*training.form.values(), training.run_id}, training.settled, **QUIET)
        settled.success(None, js=FILLED)

    def wire_experiments(self) -> None:
        """The lesson fills in the form, which then says what it amounts to."""
        training = self.training
        filled = [self.tabs, *(training.form[name] for name in experiments.BASE)]
        training.follow(self.lesson.view.fill(self.fill, None, filled, **QUIET).success)

    def wire_others(self, picker: Picker) -> None:
        """Models from elsewhere: looked up when named, then fetched or unpacked, then chosen everywhere."""
        others = picker.others
        others.repository.input(chooser.look_up, others.repository, others.note, preprocess=False, **QUIET)
        told = [others.note, others.fetched]
        waiting.say(others.fetch.click, others.note)
        fetched = others.fetch.click(
            chooser.fetch, others.repository, told, preprocess=False, **{**QUIET, **chooser.BUSY}
        )
        waiting.unsay(fetched.failure, others.note)
        fetched.success(self.take, [others.fetched, self.visit], self.model_views, **QUIET)
        waiting.say(others.archive.upload, others.note)
        opened = others.archive.upload(
            self.open_zip, [others.archive, self.visit], self.model_views, **{**QUIET, **chooser.BUSY}
        )
        for over in (opened.success, opened.failure):
            waiting.unsay(over, others.note)

    @checked
    def take(self, key: str, visit: Visit) -> dict:
        """Makes a model that was fetched the chosen one."""
        visit.run_names = {**visit.run_names, key: models.called(key)}
        return self.show(key, visit)

    @checked
    def take_own(self, visit: Visit, event: gr.EventData) -> dict:
        """Makes one of the models that learned a visitor's own pictures the chosen one."""
        key, called = own.names(event)
        visit.run_names = {**visit.run_names, **called}
        views = self.show(key, visit)
        return {**views, **self.owning.hand_out(key)} if models.available(key) else views  # it may be deleted by now

    @checked
    def leave_own(self, key: str | None, visit: Visit) -> dict:
        """Lets another model be the chosen one where that is deleted."""
        there = key if key and models.available(key) else models.default()
        return {**self.show(there, visit), **self.owning.withdraw()}

    @checked
    def open_zip(self, archive: str, visit: Visit) -> dict:
        """Makes the model in a zip the chosen one."""
        key = chooser.unpack(archive)
        visit.run_names = {**visit.run_names, key: "Your own"}
        return self.show(key, visit)

    def answer(self, event: Callable, handler: Callable, *inputs: gr.components.Component, **options) -> None:
        """What a picture is answered with: what the model says at once, then, with more to compute, its attention."""
        said = event(handler, [*inputs, self.visit], [self.classifying.result, self.classifying.input], **options)
        said.success(self.look_on, [self.classifying.model, self.visit], self.inside, **LATEST)
        # A browser can't show what is no picture.
        said.failure(lambda: None, None, self.classifying.input, js=in_galleries("refuse()"), **QUIET)

    @checked
    def open(self, owned: dict[str, str], visit: Visit, request: gr.Request) -> dict:
        """What a visitor meets beside the Train tab's form: a model and a picture, both drawn."""
        question = visit.ask()  # what is sent while data are on their way is a later one
        run_id = train.run_to_open(owned, request)
        for owned_id in filter(models.ended, owned):
            visit.run_names = models.name_run(visit.run_names, owned_id, own=True)
        key, picture = links.linked(request.query_params)
        if models.ended(run_id) and "model" not in request.query_params:
            key = run_id
        if key and models.ended(key):
            visit.run_names = models.name_run(visit.run_names, key, own=False)
        elif key and key not in models.shipped():
            visit.run_names = {**visit.run_names, key: models.called(key)}
        return self.answered(question, key, picture, visit)

    @checked
    def show(self, key: str | None, visit: Visit) -> dict:
        """Everything that depends on the model, once another one is chosen; the picture stays."""
        before = visit.picture
        return self.answered(visit.ask(), key, before, visit, partial(visit.keep, before))

    def answered(
        self,
        question: int,
        key: str | None,
        picture: Picture | None,
        visit: Visit,
        draw: Callable[[Picture], bool] | None = None,
    ) -> dict:
        """As `drawn`, unless the answer to a later question is on show, which then is given once more.

        draw: whether the picture may be shown, where the question is not of it.
        """
        draw, picture = draw or partial(visit.draw, question), suiting(key, picture, visit.number)
        views = self.drawn(key, picture, visit)
        newest = visit.choose(question, key), draw(picture)
        return views if all(newest) else self.newest(visit)

    def newest(self, visit: Visit) -> dict:
        """Everything that depends on model and picture, of those that were asked for last."""
        return self.drawn(visit.key, suiting(visit.key, visit.picture, visit.number), visit)

    def drawn(self, key: str | None, picture: Picture, visit: Visit) -> dict:
        """Everything that depends on model and picture."""
        choices = models.choices(visit.run_names)
        model = gr.Dropdown(choices, value=key)
        return {
            self.status: top.status_line(key, visit.run_names),
            **dict.fromkeys(self.models, model),
            self.classifying.gallery: gallery.opening(key, picture, choices),
            self.picker.gallery: pictures.gallery(key, visit.number, picture),
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

    @checked
    def look_on(self, key: str | None, visit: Visit) -> dict:
        """How the model came to its answer; if another one, or another picture, came on show meanwhile, to that."""
        question, asked = visit.ask(), (key, visit.picture)
        views = self.look_inside(*asked)
        now = visit.model(question, key), visit.picture
        return views if now == asked else self.look_inside(*now)

    def look_inside(self, key: str | None, picture: Picture | None) -> dict:
        views = {self.attending.view: self.attend(key, picture), self.lesson.view: self.teach(key, picture)}
        return {**views, self.words: glossary.about(key, picture)}

    @checked
    def fill(self, event: gr.EventData) -> dict:
        """Fills in the form of the Train tab for an experiment of the lesson, and opens that tab."""
        offered = pitfalls.offered(experiments.RUNS, event)
        form = {self.training.form[name]: value for name, value in offered.items()}
        return {self.tabs: gr.Tabs(selected="train"), **form}

    def draw(self, key: str | None, picture: Picture, visit: Visit) -> dict:
        """The answer to one picture; the input is empty again, as the picture is shown with its answer."""
        question, said = visit.ask(), self.said(key, picture)
        newest, now = visit.draw(question, picture), visit.model(question, key)
        if not newest or now != key:
            said = self.said(now, visit.picture)
        return {self.classifying.result: said, self.classifying.input: None}

    @checked
    def pick(self, key: str | None, visit: Visit, event: gr.EventData) -> dict:
        """A click in a gallery."""
        picked = check("event", event._data, dict)  # EventData's own look-up fails on what is no dict
        if "token" in picked:
            return self.draw(key, recall(check("token", picked["token"], str))[1], visit)
        picture = pictures.named(check("picture", picked.get("picture"), str))
        if picture is None or not pictures.exists(picture):
            raise BadInput("This picture is not here any more; choose another.")
        return self.draw(key, picture, visit)

    @checked
    def frame(self, key: str | None, visit: Visit, event: gr.EventData) -> dict:
        """Another square of what a visitor sent."""
        picture = visit.picture
        if picture is None or picture[0] != "upload":
            raise BadInput("This picture is not here any more; send it again.")
        square = answer.frame(check("event", event._data, dict).get("frame"))
        return self.draw(key, ("upload", picture[1], square), visit)

    @checked
    def resize(self, key: str, visit: Visit, event: gr.EventData) -> dict:
        """The chosen model at another size of pictures."""
        size = whole("size", check("event", event._data, dict).get("size"), 1, 4096)
        with as_bad_input():
            key = models.at_size(key, size)
        if models.size_of(key):
            visit.run_names = {**visit.run_names, key: models.called(key)}
        return self.show(key, visit)

    @checked
    def turn_page(self, key: str | None, visit: Visit) -> dict:
        """Other pictures, of which the first is drawn. The list of models is empty while the page opens."""
        visit.number += 1
        return self.answered(visit.ask(), key or models.default(), None, visit)

    @checked
    def upload(self, key: str | None, path: str, visit: Visit) -> dict:
        return self.draw(key or models.default(), ("upload", path), visit)

    @checked
    def use(self, owned: dict[str, str], visit: Visit, event: gr.EventData) -> dict:
        """Makes the model of the run on show the chosen one again."""
        run_id = check("run", check("event", event._data, dict).get("run"), str)
        return self.adopt(run_id, owned, visit.key, visit)

    @checked
    def adopt(self, run_id: str, owned: dict[str, str], key: str | None, visit: Visit) -> dict:
        """Makes a run's model the chosen one everywhere, if it left one; else that stays the chosen one."""
        if models.ended(run_id):
            key, visit.run_names = run_id, models.name_run(visit.run_names, run_id, run_id in owned)
        return self.show(key, visit)


def in_galleries(call: str) -> str:
    """JavaScript for an event: calls a function of the galleries' script, and hands the inputs on."""
    module = scripts.load(HERE / "script" / "gallery.js")
    return f"async (...inputs) => {{ (await {module}).{call}; return inputs; }}"


def suiting(key: str | None, picture: Picture | None, number: int) -> Picture:
    """The picture, if the model's gallery has it or a visitor sent it; else the first of the gallery's."""
    source = pictures.gallery_source(key)
    if picture is None or picture[0] not in ("upload", source):
        return source, pictures.offered(key, source, number)[0]
    return picture


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
    visit = gr.State(Visit())
    return Page(tabs, status, notice, words, training, owning, classifying, attending, learning, visit)


def about() -> dict:
    """What there is here: models for classify and attention, datasets and how they stand, device, longest run."""
    return {
        "models": models.shipped(),
        "data": {name: source.state for name, source in datasets.SOURCES.items()},
        "device": ", ".join([top.device(), *map(str, top.tried())]),
        **outcome.limits(),
    }
