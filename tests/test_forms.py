"""Forms made from settings: every field of every settings class has a widget and comes back."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from pydantic.fields import FieldInfo
from streamlit.testing.v1 import AppTest

from latent_workbench.shared.inputs import step_of
from latent_workbench.train.forms import Form, Question, widget_for, widget_key
from vae_core.config import DataConfig, ModelConfig, RunConfig, TrackerName, TrainConfig
from vae_core.families import complete, families
from vae_core.models import backbones, likelihoods
from vae_core.settings import Settings, setting

OPTIONS = [entry.options for registry in (families, backbones) for entry in registry]
CLASSES: list[type[Settings]] = [
    *(DataConfig, ModelConfig, TrainConfig),
    *(options for options in OPTIONS if issubclass(options, Settings)),
]


def draw(module: str, name: str) -> None:
    """The script: a form of one settings class, its answer in the session."""
    import importlib

    import streamlit as st

    from latent_workbench.train.forms import Form, Place

    settings = getattr(importlib.import_module(module), name)()
    place = Place(st.container(), st.expander("More settings"))
    st.session_state["answer"] = Form().ask(settings, "form", place)


SEVERAL = {
    "image_size": {"height": 24, "width": 16},
    "window": {"low": -1.5, "high": 20.0},
}
"""Settings of several numbers, each of which has a field; and what is typed there."""


def is_named(info: FieldInfo) -> bool:
    """Whether a field takes the name of something registered, or several."""
    return info.annotation is str or info.annotation == tuple[TrackerName, ...]


TYPED = {"shown_channels": "4, 2, 1"}


def form_of(kind: type[Settings]) -> AppTest:
    script = AppTest.from_function(
        draw, default_timeout=30, kwargs={"module": kind.__module__, "name": kind.__name__}
    )
    return script.run()


@cache
def untouched(kind: type[Settings]) -> AppTest:
    """The form that several tests look at and none changes."""
    return form_of(kind)


def answer_of(app: AppTest) -> dict[str, Any]:
    assert not app.exception
    answer: dict[str, Any] = app.session_state["answer"]
    return answer


def other_value(app: AppTest, key: str, question: Question) -> Any:
    """Set the widget `key` to something else, whatever it is."""
    for kind in ("number_input", "selectbox", "text_input", "toggle"):
        for widget in getattr(app, kind):
            if widget.key == key:
                return change_widget(kind, widget, question)
    raise AssertionError(f"there is no widget {key}")


def change_widget(kind: str, widget: Any, question: Question) -> None:
    if kind == "toggle":
        widget.set_value(not widget.value)
    elif kind == "selectbox":
        position = widget.options.index(widget.format_func(widget.value))
        widget.select_index((position + 1) % len(widget.options))
    elif kind == "text_input":
        # Numbers, or a path: both are texts here.
        numbers = not widget.value or widget.value.lstrip("-")[0].isdigit()
        widget.input("0.25, 0.5" if "." in (widget.value or "") else "8, 16" if numbers else "x")
    else:
        beside = (widget.value or 0) + np.array([1, -1, 8]) * widget.step
        widget.set_value(next(v.item() for v in beside if not question.refusal(v.item())))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_untouched_form_changes_nothing(kind: type[Settings]) -> None:
    app = untouched(kind)
    assert answer_of(app) == {}
    widgets = [*app.number_input, *app.selectbox, *app.text_input, *app.toggle]
    asked = [question.path[-1] for question in Form().questions(kind())]
    assert len(widgets) == sum(len(SEVERAL.get(name, "1")) for name in asked)
    assert not [warning.value for warning in app.warning]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_field_comes_back_changed_and_valid(kind: type[Settings]) -> None:
    app = form_of(kind)
    for question in Form().questions(kind()):
        if is_named(question.info):  # they are chosen below
            continue
        key, name = widget_key("form", kind.__name__, question.path), question.path[-1]
        for field, value in SEVERAL.get(name, {}).items():
            app.number_input(key=f"{key}.{field}").set_value(value)
        if name in TYPED:
            app.text_input(key=key).input(TYPED[name])
        elif name not in SEVERAL:
            other_value(app, key, question)
    answer = answer_of(app.run())
    texts = {name for name, info in kind.model_fields.items() if is_named(info)}
    dictionaries = {"options"} if kind is ModelConfig else set()
    assert answer.keys() == kind.model_fields.keys() - texts - dictionaries
    changed = kind.model_validate(answer)
    assert changed.model_dump(include=set(answer)) == answer


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_label_unit_and_help_come_from_the_field(kind: type[Settings]) -> None:
    app = untouched(kind)
    widgets = [*app.number_input, *app.selectbox, *app.text_input, *app.toggle]
    by_key = {widget.key: widget for widget in widgets}
    for question in Form().questions(kind()):
        key, name = widget_key("form", kind.__name__, question.path), question.path[-1]
        labels = {by_key[f"{key}.{field}"].label for field in SEVERAL.get(name, {})}
        assert labels <= {"Height (px)", "Width (px)", "Black at", "White at"}
        for field in SEVERAL.get(name, {}):
            assert (
                question.info.description
                and question.info.description in by_key[f"{key}.{field}"].help
            )
        if name not in SEVERAL:
            widget = by_key[key]
            assert widget.label == question.title and question.info.title in widget.label
            assert question.info.description and question.info.description in widget.help


def test_more_is_folded_away_and_may_be_promoted() -> None:
    form = Form(sight=frozenset({"image_size"}), below=frozenset({"dataset"}))
    more = {question.path[0]: question.more for question in form.questions(DataConfig())}
    assert more["image_size"] is False
    assert more["dataset"] is True and more["limit"] is True


def draw_whole() -> None:
    import streamlit as st

    from latent_workbench.shared.recipes import options_of
    from latent_workbench.train.forms import Form, Place
    from vae_core.config import RunConfig
    from vae_core.families import complete
    from vae_core.models import backbones, likelihoods
    from vae_core.training.trackers import trackers

    config = complete(RunConfig())
    named = {"model.backbone": backbones, "model.likelihood": likelihoods}
    form = Form(
        choices=named | {"train.track": trackers},
        nested=options_of(config),
        hidden=frozenset({"family", "preset", "data.dataset"}),
    )
    place = Place(st.container(), st.expander("More settings"))
    st.session_state["answer"] = form.ask(config, "form", place)


def test_a_whole_configuration_with_nested_options() -> None:
    app = AppTest.from_function(draw_whole, default_timeout=30).run()
    assert answer_of(app) == {}
    app.number_input(key="form.VaeOptions.objective.beta").set_value(4.0)
    app.text_input(key="form.ConvOptions.model.options.channels").input("16, 32")
    app.number_input(key="form.TrainConfig.train.epochs").set_value(3)
    app.selectbox(key="form.ModelConfig.model.likelihood").select("gaussian")
    changes = answer_of(app.run())
    assert changes == {
        "objective": {"beta": 4.0},
        "model": {"options": {"channels": (16, 32)}, "likelihood": "gaussian"},
        "train": {"epochs": 3},
    }
    config = complete(complete(RunConfig()).updated(changes))
    assert config.objective["beta"] == 4.0
    assert tuple(config.model.options["channels"]) == (16, 32)


def test_likelihood_offers_auto_beside_the_registered() -> None:
    app = AppTest.from_function(draw_whole, default_timeout=30).run()
    box = app.selectbox(key="form.ModelConfig.model.likelihood")
    assert box.value == "auto"
    assert box.options == ["auto", *(entry.label for entry in likelihoods)]
    beside = {each.key for column in app.columns for each in column.selectbox}
    assert box.key not in beside, "half a row would cut its names"
    assert "form.DataConfig.data.binarise" in beside, "short ones stand side by side"


def test_any_number_of_trackers_can_be_chosen() -> None:
    app = AppTest.from_function(draw_whole, default_timeout=30).run()
    box = app.multiselect(key="form.TrainConfig.train.track")
    assert box.value == [] and box.options[0] == "TensorBoard" and len(box.options) == 4
    box.set_value(["mlflow", "tensorboard"])
    changes = answer_of(app.run())
    assert changes == {"train": {"track": ("mlflow", "tensorboard")}}
    assert RunConfig().updated(changes).train.track == ("mlflow", "tensorboard")


def test_what_is_no_list_of_numbers_is_kept_as_typed() -> None:
    app = form_of(TrainConfig)
    app.text_input(key="form.TrainConfig.adam_betas").input("much, little")
    assert answer_of(app.run()) == {"adam_betas": "much, little"}


def test_answers_survive_another_page() -> None:
    def script() -> None:
        import streamlit as st

        from latent_workbench.train.forms import Form, Place
        from vae_core.config import TrainConfig

        if not st.checkbox("elsewhere"):
            place = Place(st.container(), st.container())
            st.session_state["answer"] = Form().ask(TrainConfig(), "form", place)

    app = AppTest.from_function(script, default_timeout=30).run()
    app.number_input(key="form.TrainConfig.epochs").set_value(77).run()
    app.checkbox[0].check().run()
    assert not app.number_input
    app.checkbox[0].uncheck().run()
    assert answer_of(app) == {"epochs": 77}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_number_field_keeps_a_value_from_the_server(kind: type[Settings]) -> None:
    """A browser sends nothing that lies beyond the bounds of a field, so fields have none."""
    for field in untouched(kind).number_input:
        assert not field.proto.has_min and not field.proto.has_max, field.label


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("epochs", 0, "Epochs should be greater than or equal to 1."),
        ("learning_rate", 1e9, "Learning rate should be less than or equal to 10."),
        ("learning_rate", 0.0, "Learning rate should be greater than 0."),
        ("weight_decay", -1.0, "Weight decay should be greater than or equal to 0."),
        ("adam_betas", "0.9, 1.5", "Adam betas: "),
        ("adam_betas", "much", "Adam betas should be a valid tuple."),
    ],
)
def test_what_a_field_does_not_take_is_said_below_it(key: str, value: Any, sentence: str) -> None:
    app = form_of(TrainConfig)
    kind = "text_input" if isinstance(value, str) else "number_input"
    getattr(app, kind)(key=f"form.TrainConfig.{key}").set_value(value)
    assert key in answer_of(app.run())
    (said,) = [each.value for each in app.markdown if sentence in each.value]
    assert said.startswith(":red[")


@pytest.mark.parametrize(
    ("start", "step"), [(1e-3, 1e-4), (1.0, 0.1), (0.1, 0.01), (0.0, 0.1), (None, 0.1), (3.1, 0.1)]
)
def test_step_is_a_tenth_of_the_magnitude(start: float | None, step: float) -> None:
    assert step_of(start) == pytest.approx(step)


def test_an_unknown_type_is_a_defect_and_says_which() -> None:
    class Odd(Settings):
        when: complex = setting(0j, "When", "Never.")

    question = next(Form().questions(Odd()))
    with pytest.raises(TypeError, match="complex"):
        widget_for(question.info.annotation)


def test_one_side_is_a_square_and_half_a_window_is_none() -> None:
    app = form_of(DataConfig)
    app.number_input(key="form.DataConfig.image_size.width").set_value(20)
    app.number_input(key="form.DataConfig.window.high").set_value(9.0)
    assert answer_of(app.run()) == {"image_size": 20}
    app.number_input(key="form.DataConfig.image_size.height").set_value(30)
    assert answer_of(app.run()) == {"image_size": (30, 20)}
    app.number_input(key="form.DataConfig.window.low").set_value(10.0)
    assert answer_of(app.run())["window"] == (10.0, 9.0)
    assert any("lower end must lie below" in text.value for text in app.markdown)
