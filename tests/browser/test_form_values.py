"""What is typed into a form in a real browser is what is trained, or nothing is."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from vae_core.runs import Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

FORM = "st-key-train-digits-vae-digits"


def open_train(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/train")
    expect(page.locator(".st-key-start-training button")).to_be_enabled()


@pytest.mark.parametrize(
    ("key", "typed", "sentence"),
    [
        ("ModelConfig-model-latent_dim", "5000", "Latent dimensions should be less than or equal"),
        ("VaeOptions-objective-beta", "-1", "β should be greater than or equal to 0"),
        ("TrainConfig-train-epochs", "0", "Epochs should be greater than or equal to 1"),
    ],
)
@pytest.mark.parametrize("committed", [True, False], ids=["entered", "pressed at once"])
def test_a_number_that_cannot_be_is_said_beside_the_field_and_starts_nothing(
    page: Page, app_url: str, store: Store, key: str, typed: str, sentence: str, committed: bool
) -> None:
    open_train(page, app_url)
    field, button = (
        page.locator(f".{FORM}-{key} input"),
        page.locator(".st-key-start-training button"),
    )
    field.fill(typed)
    if committed:
        field.press("Enter")
    else:
        button.click()
    said = page.locator(".st-key-train-settings").get_by_text(sentence)
    expect(said).to_be_visible()
    expect(button).to_be_disabled()
    assert field.input_value() == typed
    place, asked = said.bounding_box(), field.bounding_box()
    assert place and asked and 0 < place["y"] - asked["y"] < 100
    assert [run.id for run in store] == ["tiny"]


def test_a_name_that_cannot_be_is_said_beside_the_field(
    page: Page, app_url: str, store: Store
) -> None:
    open_train(page, app_url)
    page.get_by_text("More settings", exact=True).click()
    field = page.locator("[class*=st-key-train-name] input").first
    field.fill("my run")
    field.press("Enter")
    said = page.locator("p", has_text=re.compile("'my run' is no run name")).first
    expect(said).to_be_visible()
    place, asked = said.bounding_box(), field.bounding_box()
    assert place and asked and 0 < place["y"] - asked["y"] < 100
    expect(page.locator(".st-key-start-training button")).to_be_disabled()
    assert [run.id for run in store] == ["tiny"]


def test_a_sweep_of_what_cannot_be_does_not_start(page: Page, app_url: str, store: Store) -> None:
    page.goto(f"{app_url}/tune-beta?run=tiny&tune-tab=Sweep")
    field = page.locator(".st-key-sweep-workers input")
    field.fill("65")
    field.press("Enter")
    expect(page.get_by_text("At a time lies between 1 and 64.").first).to_be_visible()
    expect(page.locator(".st-key-start-sweep")).to_have_count(0)
    field.fill("2")
    field.press("Enter")
    expect(page.locator(".st-key-start-sweep")).to_be_visible()
    betas = page.locator(".st-key-sweep-betas input")
    betas.fill("0.1, -1")
    betas.press("Enter")
    expect(page.get_by_text("-1.0 is no positive number").first).to_be_visible()
    expect(page.locator(".st-key-start-sweep")).to_have_count(0)
