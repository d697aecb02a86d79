"""`.env.example`, docs/settings.md and Settings agree."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from gateway.config import Settings, load_settings
from gateway.settings import text
from gateway.settings.fields import describe

ROOT = Path(__file__).resolve().parents[2]


def test_files_in_the_checkout_are_up_to_date() -> None:
    hint = "run `python -m gateway.settings.text` in the checkout"
    assert (ROOT / ".env.example").read_text("utf-8") == text.env_example(), hint
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == text.markdown(), hint


@pytest.mark.usefixtures("bare_environment")
def test_every_line_of_the_example_is_a_setting_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    uncommented = "\n".join(
        line.removeprefix("#") for line in example.splitlines() if line.startswith("#") and not line.startswith("# ")
    )
    values = {name: value for name, value in dotenv_values(stream=StringIO(uncommented)).items() if value}
    defaults = load_settings()
    overrides = {name.lower(): value for name, value in values.items()}
    assert set(overrides) <= set(Settings.model_fields)
    assert load_settings(**overrides) == defaults
    shown = {line.split("=")[0] for line in uncommented.splitlines()}
    assert {about.variable for about in describe(Settings).values()} <= shown
