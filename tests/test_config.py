"""Configuration: JSON in and out, unknown keys, ranges, and settings given on a command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.nested import parse_settings
from vae_core.settings import Settings, explain, nested_settings, setting

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,11}", fullmatch=True)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)

configs = st.fixed_dictionaries(
    {},
    optional={
        "family": texts,
        "preset": st.none() | texts,
        "objective": st.dictionaries(keys, plain, max_size=3),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "dataset": texts,
                "data_dir": st.none() | texts,
                "image_size": st.none() | st.integers(8, 512),
                "channels": st.sampled_from([None, 1, 3]),
                "resize": st.sampled_from(["crop", "fit"]),
                "validation_fraction": st.floats(0, 0.9),
                "limit": st.none() | st.integers(2),
            },
        ),
        "model": st.fixed_dictionaries(
            {},
            optional={
                "latent_dim": st.integers(1, 1024),
                "sigma": st.floats(1e-4, 10, exclude_min=True),
                "pixel_mean": numbers,
                "pixel_std": st.floats(0, 1e300, exclude_min=True),
                "options": st.dictionaries(keys, plain, max_size=3),
            },
        ),
        "train": st.fixed_dictionaries(
            {},
            optional={
                "epochs": st.integers(1, 100_000),
                "batch_size": st.integers(1),
                "learning_rate": st.floats(0, 10, exclude_min=True),
                "adam_betas": st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
                "gradient_clip": st.none() | st.floats(1e-9, 1e9),
                "seed": st.integers(0, 2**32 - 1),
                "compile": st.booleans(),
            },
        ),
    },
)


@given(configs)
def test_json_gives_back_the_same_config(values: dict[str, Any]) -> None:
    config = parse_config(values)
    again = parse_config(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    for section, given_values in values.items():
        if section in ("data", "model", "train"):
            for key, value in given_values.items():
                assert getattr(getattr(again, section), key) == value


def _setting_paths(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all settings objects below `model`, itself included."""
    paths = [prefix]
    for name, field in model.model_fields.items():
        inner = nested_settings(field.annotation)
        paths += _setting_paths(inner, (*prefix, name)) if inner else []
    return paths


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


DEPTHS = _setting_paths(RunConfig)


def test_there_are_settings_at_several_depths() -> None:
    assert DEPTHS == [(), ("data",), ("model",), ("train",)]


@given(st.sampled_from(DEPTHS), keys)
def test_an_unknown_key_is_named_at_every_depth(path: tuple[str, ...], key: str) -> None:
    full = ".".join([*path, "zz" + key])
    with pytest.raises(UserError) as error:
        parse_config(_nested((*path, "zz" + key), 1))
    assert f"There is no setting {full!r}." in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("modle", "model"),
        ("model.latent_dims", "model.latent_dim"),
        ("train.learning_rat", "train.learning_rate"),
        ("data.imagesize", "data.image_size"),
    ],
)
def test_a_near_miss_is_told_the_key_it_meant(wrong: str, right: str) -> None:
    with pytest.raises(UserError) as error:
        parse_config(_nested(tuple(wrong.split(".")), 1))
    assert str(error.value) == f"There is no setting {wrong!r}. Did you mean {right!r}?"


def test_a_far_miss_is_told_what_there_is() -> None:
    with pytest.raises(UserError, match="Known here: dataset, data_dir, image_size"):
        parse_config({"data": {"qqq": 1}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.latent_dim", 0),
        ("model.latent_dim", 1025),
        ("model.latent_dim", 2.5),
        ("model.latent_dim", "many"),
        ("model.sigma", float("nan")),
        ("model.sigma", float("inf")),
        ("model.sigma", 0),
        ("model.pixel_std", 0),
        ("model.options", 3),
        ("model", 3),
        ("data.image_size", 7),
        ("data.channels", 17),
        ("data.image_size", [64, 7]),
        ("data.image_size", "48x"),
        ("data.window", [2, 2]),
        ("data.shown_channels", [0, 1, 2]),
        ("data.resize", "squeeze"),
        ("data.validation_fraction", 1),
        ("data.limit", 1),
        ("train.epochs", 0),
        ("train.batch_size", 0),
        ("train.learning_rate", -1e-3),
        ("train.learning_rate", 10**400),
        ("train.seed", -1),
        ("train.seed", 2**32),
        ("train.adam_betas", [0.5, 1.0]),
        ("train.optimizer", "sgd"),
        ("objective.beta", float("nan")),
        ("data.data_dir", "caf\udce9"),
    ],
)
def test_a_value_out_of_range_names_its_setting(key: str, value: Any) -> None:
    with pytest.raises(UserError) as error:
        parse_config(_nested(tuple(key.split(".")), value))
    sentence = str(error.value)
    assert sentence.startswith(f"{key}: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_long_wrong_value_does_not_drown_the_sentence() -> None:
    with pytest.raises(UserError) as error:
        parse_config({"data": {"resize": "x" * 100_000}})
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("text", ["", "{", "nonsense", b"\xff\xfe", "[" * 100_000, '{"a":'])
def test_text_that_is_no_json_is_a_user_error(text: str | bytes) -> None:
    with pytest.raises(UserError, match="not valid JSON"):
        parse_config(text)


@pytest.mark.parametrize("text", ["[]", "3", '"vae"', "null"])
def test_json_that_is_no_object_is_a_user_error(text: str) -> None:
    with pytest.raises(UserError, match="The configuration"):
        parse_config(text)


@given(plain)
def test_no_mapping_breaks_parsing(values: Any) -> None:
    try:
        parse_config(values if isinstance(values, dict) else {"model": values})
    except UserError as error:
        assert str(error)


def test_a_config_is_frozen() -> None:
    config = RunConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.family = "autoencoder"
    with pytest.raises(ValueError, match="frozen"):
        config.model.latent_dim = 3


def test_updated_replaces_only_what_is_named() -> None:
    config = parse_config({"model": {"latent_dim": 5, "options": {"hidden": 64, "bias": False}}})
    changed = config.updated({"model": {"latent_dim": 8, "options": {"hidden": 32}}})
    assert changed.model.latent_dim == 8
    assert changed.model.options == {"hidden": 32, "bias": False}
    assert config.model.latent_dim == 5
    assert changed.train == config.train


def test_options_leave_with_the_thing_they_belong_to() -> None:
    config = parse_config({"model": {"options": {"channels": [16]}}, "objective": {"beta": 4}})
    other_backbone = config.updated({"model": {"backbone": "mlp", "options": {"hidden": 9}}})
    assert other_backbone.model.options == {"hidden": 9}
    assert other_backbone.objective == {"beta": 4}
    other_family = config.updated({"family": "autoencoder"})
    assert other_family.objective == {}
    assert other_family.model == config.model
    same = config.updated({"family": "vae", "model": {"backbone": "conv"}})
    assert same == config


def test_updated_refuses_what_parsing_refuses() -> None:
    with pytest.raises(UserError, match=r"model\.latent_dim"):
        RunConfig().updated({"model": {"latent_dim": 0}})


@given(st.lists(keys, min_size=1, max_size=4), plain)
def test_a_setting_is_read_as_json(path: list[str], value: Any) -> None:
    entry = f"{'.'.join(path)}={json.dumps(value)}"
    assert parse_settings([entry]) == _nested(tuple(path), value)


@given(keys, st.from_regex(r"[a-z/][a-z ./=-]*", fullmatch=True))
def test_what_is_no_json_is_text(key: str, text: str) -> None:
    expected: Any = {"true": True, "false": False, "null": None}.get(text, text)
    assert parse_settings([f"{key}={text}"]) == {key: expected}


@given(st.lists(st.text(max_size=30), max_size=4))
def test_any_settings_parse_or_are_refused(entries: list[str]) -> None:
    try:
        parse_config(parse_settings(entries))
    except UserError as error:
        assert str(error)


@pytest.mark.parametrize("entry", ["model.latent_dim", "=3", "model.=3", ".a=1", "a..b=1", " =1"])
def test_an_entry_that_sets_nothing_is_refused(entry: str) -> None:
    with pytest.raises(UserError) as error:
        parse_settings([entry])
    assert repr(entry) in str(error.value)
    assert "KEY=VALUE" in str(error.value)


def test_settings_add_up_and_the_later_one_counts() -> None:
    entries = ["model.latent_dim=8", 'model={"backbone": "mlp"}', "a=1", "a=2", "b=1", "b.c=3"]
    assert parse_settings(entries) == {
        "model": {"latent_dim": 8, "backbone": "mlp"},
        "a": 2,
        "b": {"c": 3},
    }


def test_every_setting_tells_its_title_and_help() -> None:
    for path in DEPTHS:
        model: Any = RunConfig
        for name in path:
            model = nested_settings(model.model_fields[name].annotation)
        for name, field in model.model_fields.items():
            if nested_settings(field.annotation) is None:
                assert field.title, name
                assert field.description, name
                assert field.description.endswith("."), name


def test_explain_puts_the_place_before_the_key() -> None:
    class Options(Settings):
        width: int = setting(3, "Width", "How wide.", ge=1)

    with pytest.raises(ValueError) as error:
        Options.model_validate({"widht": 3})
    sentence = explain(error.value, "model.options", Options)  # type: ignore[arg-type]
    assert sentence == (
        "There is no setting 'model.options.widht'. Did you mean 'model.options.width'?"
    )
