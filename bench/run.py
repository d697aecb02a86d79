"""Runs the cases and prints a table: `python -m bench.run [--case NAME]… [--quick]`.

Server alone on the first core, publisher and readers on the second. Figures of one run may be compared with each
other, figures of two runs hardly: machines drift by a third.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import cases, tool, trade_cases
from bench.cases import ALL, Effort, Outcome, Row

CASES = {**cases.CASES, **trade_cases.CASES}

RESULTS = Path(__file__).parent / "results"
BUSY = 0.7
QUICK = Effort(rounds=1, seconds=4.0, search_seconds=1.5)


def main() -> int:
    """The command; 0 where every case could be measured."""
    args = _arguments()
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    effort = QUICK if args.quick else Effort()
    effort = Effort(args.server or ALL, effort.rounds, effort.seconds, effort.search_seconds)
    with console.status("building the load tool"):
        tool.binary()
    if os.getloadavg()[0] > BUSY:
        console.print(f"[yellow]this machine is busy (load {os.getloadavg()[0]:.1f}): compare columns, not runs")
    outcomes: dict[str, Outcome] = {}
    failed = 0
    for name in args.case or CASES:
        with console.status(f"{name}: {CASES[name].__doc__ or ''}"):
            try:
                outcomes[name] = CASES[name](effort)
            except (tool.ToolError, OSError) as error:
                failed += 1
                console.print(f"[red]{name}: {error}", *getattr(error, "__notes__", []))
                continue
        keep(name, outcomes[name], args.quick)
        console.print(table({name: outcomes[name]}))
    Console(width=None if sys.stdout.isatty() else 120).print(table(outcomes))
    return 1 if failed else 0


def table(outcomes: dict[str, Outcome]) -> Table:
    """All rows of the given cases beside each other."""
    shown = Table(title="gateway beside its references", title_justify="left")
    for column in ("case", "figure"):
        shown.add_column(column)
    for column in (*ALL, "target"):
        shown.add_column(column, justify="right")
    shown.add_column("reached")
    for name, outcome in outcomes.items():
        for row in outcome.rows:
            values = [_number(row.values.get(server)) for server in ALL]
            shown.add_row(name, f"{row.what} {row.unit}".strip(), *values, _target(row), _reached(row))
        shown.add_section()
    return shown


def keep(name: str, outcome: Outcome, quick: bool) -> None:
    """Writes one case's figures to `bench/results`."""
    RESULTS.mkdir(exist_ok=True)
    kept = {
        "case": name,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": quick,
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        # what else the machine was doing: above 2 the figures say little
        "load_average": os.getloadavg(),
        "rows": [{**asdict(row), "met": row.met} for row in outcome.rows],
        "raw": outcome.raw,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(_finite(kept), indent=1, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """The value with null for infinite numbers, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this case; may be repeated")
    parser.add_argument("--server", action="append", choices=ALL, help="only this server; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work, roughly how fast")
    return parser.parse_args()


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if math.isinf(value):
        return "nothing came"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.3g}"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    sign = ">=" if row.more else "<="
    by_rule = "" if row.rule.replace(",", "").isdigit() else f" ({row.rule})"
    return f"{sign} {_number(row.target)}{by_rule}"


def _reached(row: Row) -> str:
    return {True: "[green]yes", False: "[red]no", None: ""}[row.met]


if __name__ == "__main__":
    sys.exit(main())
