"""`.env.example` and docs/settings.md, written from the settings themselves (`python -m gateway.settings.text`)."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from gateway.config import Settings
from gateway.settings import brokers
from gateway.settings.fields import About, describe

_BROKER_VARIABLES = {
    "WS_URL": "streaming endpoint, for proxies, test environments and simulators",
    "REST_URL": "REST endpoint",
    "INSTRUMENTS": "instrument master: a file or a URL",
    "API_KEY": "credentials, used where the credential store (`gateway brokers add`) has nothing",
    "API_SECRET": "",
    "ACCESS_TOKEN": "",
    "USER_ID": "",
}


def env_example() -> str:
    """The text of `.env.example`: every setting with its default, commented out."""
    lines = [
        "# Settings of the gateway. Copy to .env and take away the # where a value shall differ from the default.",
        "# The environment wins. `gateway check` tells what is wrong. Names are OpenAlgo's where it has one.",
    ]
    for section, items in _sections():
        lines += ["", f"# ---- {section} ----"]
        for about in items:
            lines += textwrap.wrap(_sentence(about), 118, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"#{about.variable}={about.default}")
    lines += ["", "# ---- Per broker, with its name in capitals ----"]
    for suffix, meaning in _BROKER_VARIABLES.items():
        lines += [f"# {meaning}"] if meaning else []
        lines.append(f"#{brokers.variable('zerodha', suffix)}=")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The text of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Read from the environment, then from `.env` in the working directory, and checked whole at start: a wrong one",
        "stops the start with exit code 2 and a line that names the variable, what it holds and what it may hold.",
        "`gateway check` does the same without starting. A variable with one of our prefixes that is not listed here",
        "draws a warning. Settings marked ↻ are read again on SIGHUP (from `.env`).",
        "",
        "This file and `.env.example` are written by `python -m gateway.settings.text`; a test compares them.",
    ]
    for section, items in _sections():
        lines += ["", f"## {section}", "", "| variable | default | meaning | may hold |", "|---|---|---|---|"]
        lines += [_row(about) for about in items]
    lines += ["", "## Per broker", "", "`<BROKER>` is the broker's name in capitals, such as `ZERODHA`.", ""]
    lines += ["| variable | meaning |", "|---|---|"]
    lines += [f"| `<BROKER>_{suffix}` | {meaning or 'as above'} |" for suffix, meaning in _BROKER_VARIABLES.items()]
    lines += ["", f"Brokers: {', '.join(brokers.NAMES)}. Which of them have an adapter yet: `gateway check`.", ""]
    return "\n".join(lines)


def _sections() -> Iterator[tuple[str, list[About]]]:
    for section, items in groupby(describe(Settings).values(), key=lambda about: about.section):
        yield section, list(items)


def _sentence(about: About) -> str:
    return f"{about.meaning[0].upper()}{about.meaning[1:]}. Takes {about.may}."


def _row(about: About) -> str:
    default = f"`{about.default}`" if about.default else ""
    cells = [f"`{about.variable}`{' ↻' if about.reload else ''}", default, about.meaning, about.may]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Writes both files into the checkout that is the working directory."""
    Path(".env.example").write_text(env_example(), "utf-8")
    Path("docs/settings.md").write_text(markdown(), "utf-8")
    print("wrote .env.example and docs/settings.md", file=sys.stderr)


if __name__ == "__main__":
    main()
