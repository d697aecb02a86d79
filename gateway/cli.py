"""The command line. Reads arguments, calls `gateway.commands`, turns errors into exit codes 0, 1 and 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway.errors import GatewayError, SettingsError, StartError

app = typer.Typer(
    help="Market data gateway for Indian brokers, compatible with OpenAlgo clients.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys_app = typer.Typer(help="API keys of users.", no_args_is_help=True)
brokers_app = typer.Typer(help="Broker credentials, encrypted at rest.", no_args_is_help=True)
instruments_app = typer.Typer(help="Instrument masters.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
app.add_typer(brokers_app, name="brokers")
app.add_typer(instruments_app, name="instruments")
kafka_app = typer.Typer(help="Order events in Kafka.", no_args_is_help=True)
app.add_typer(kafka_app, name="kafka")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Broker = Annotated[str, typer.Argument(help="The broker's name, such as zerodha.")]


def main() -> None:
    """Entry point of the `gateway` command."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; errors that users cause are one message, never a traceback."""
    try:
        code = app(arguments, standalone_mode=True)
    except SystemExit as leaving:
        code = leaving.code
    except (SettingsError, StartError) as error:
        return _fail(error, 2)
    except GatewayError as error:
        return _fail(error, 1)
    except BrokenPipeError:
        # the reader of our output has gone, as in `gateway keys list | head -1`
        sys.stderr.close()
        return 1
    except OSError as error:
        return _fail(error, 1)
    return code if isinstance(code, int) else 0


def _fail(error: Exception, code: int) -> int:
    for line in str(error).splitlines() or [type(error).__name__]:
        print(f"error: {line}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Market data gateway for Indian brokers, compatible with OpenAlgo clients."""


@app.command()
def serve(
    feed: Annotated[
        list[str] | None, typer.Option(help="Feed to run, in place of FEEDS; repeatable; `none` for the bus alone.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Simulated feed, demo user, trading time from 10:00 IST.")
    ] = False,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    from gateway.commands import serve as commands

    raise typer.Exit(commands.serve(tuple(feed) if feed else None, demo))


@app.command()
def market() -> None:
    """Run the market process alone (for service managers)."""
    from gateway.commands import serve as commands

    raise typer.Exit(commands.market())


@app.command()
def trade() -> None:
    """Run the trade process alone (for service managers)."""
    from gateway.commands import serve as commands

    raise typer.Exit(commands.trade())


@app.command()
def audit(as_json: AsJson = False) -> None:
    """Recompute every book from the trades and report differences (exit 1 if any)."""
    from gateway.commands import audit as commands

    raise typer.Exit(commands.audit(as_json))


@app.command()
def check(as_json: AsJson = False) -> None:
    """Tell what is wrong with settings, ports, database and feeds, and how to mend it."""
    from gateway.commands import check as commands

    raise typer.Exit(commands.check(as_json))


@app.command()
def migrate() -> None:
    """Bring the database to the current schema."""
    from gateway.commands import keys as commands

    commands.migrate()


@keys_app.command("add")
def keys_add(
    user: Annotated[str, typer.Argument(help="The user's name; made when new.")],
    key: Annotated[
        str | None, typer.Option(help="Take over this OpenAlgo key; `-` reads it from standard input.")
    ] = None,
) -> None:
    """Print a new API key, once."""
    from gateway.commands import keys as commands

    commands.add(user, key)


@keys_app.command("list")
def keys_list(as_json: AsJson = False) -> None:
    """List keys: id, user, state, last characters."""
    from gateway.commands import keys as commands

    commands.show(as_json)


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[int, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> None:
    """End a key and its connections."""
    from gateway.commands import keys as commands

    commands.revoke(key_id)


@brokers_app.command("list")
def brokers_list(as_json: AsJson = False) -> None:
    """List brokers with credentials, without the credentials."""
    from gateway.commands import brokers as commands

    commands.show(as_json)


@brokers_app.command("add")
def brokers_add(
    broker: Broker,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read NAME=value lines or a JSON object.")] = False,
    user_id: Annotated[str | None, typer.Option(help="The account's user id.")] = None,
) -> None:
    """Store a broker's API key, API secret, access token and user id."""
    from gateway.commands import brokers as commands

    commands.add(broker, stdin, user_id)


@brokers_app.command("test")
def brokers_test(broker: Broker) -> None:
    """Connect to a broker's feed with the stored credentials, and disconnect."""
    from gateway.commands import brokers as commands

    commands.test(broker)


@instruments_app.command("load")
def instruments_load(
    broker: Annotated[str, typer.Argument(help="A broker's name, or `common` for a CSV of the common record.")],
    file: Annotated[str | None, typer.Argument(help="File or URL; the broker's own address when left out.")] = None,
) -> None:
    """Load an instrument master."""
    from gateway.commands import instruments as commands

    commands.load(broker, file)


@instruments_app.command("search")
def instruments_search(
    text: Annotated[str, typer.Argument(help="Part of a symbol or name.")], as_json: AsJson = False
) -> None:
    """Find instruments."""
    from gateway.commands import instruments as commands

    commands.search(text, as_json)


@kafka_app.command("create-topics")
def kafka_create_topics(as_json: AsJson = False) -> None:
    """Make the topics: 5 partitions, up to 3 replicas, 7 days (inbound: 24 hours); harmless where they are there."""
    from gateway.commands import kafka as commands

    commands.create_topics(as_json)


@kafka_app.command("tail")
def kafka_tail(
    as_json: AsJson = False,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="All that the topic holds.")] = False,
) -> None:
    """Print order events as they come, until Ctrl-C."""
    from gateway.commands import kafka as commands

    raise typer.Exit(commands.tail(as_json, from_beginning))


@app.command()
def watch(symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="Such as NSE:SBIN.")]) -> None:
    """Show a live table of instruments."""
    from gateway.commands.common import settings_for_command
    from gateway.tools import watch as tool

    raise typer.Exit(tool.run(symbols, settings_for_command()))


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="The recording to make.")],
    symbols: Annotated[list[str] | None, typer.Option("--symbol", help="Subscribe it too, such as NSE:SBIN.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long; without it on Ctrl-C.")] = None,
) -> None:
    """Record the tick stream: what others want, or the given symbols."""
    from gateway.commands.common import settings_for_command
    from gateway.tools import record as tool

    raise typer.Exit(tool.run(file, settings_for_command(), symbols=symbols or (), seconds=seconds))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording made by `gateway record`.")],
    speed: Annotated[float, typer.Option(min=0, help="1 = as recorded, 0 = as fast as possible.")] = 1.0,
) -> None:
    """Run the gateway with a recording as its feed."""
    from gateway.commands import serve as commands

    raise typer.Exit(commands.replay(file, speed))
