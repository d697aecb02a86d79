//! Load for the benches: many WebSocket readers, an open-loop publisher on the tick bus, and a flood that
//! shows how fast the readers themselves can go. Each subcommand prints JSON lines on standard output.

mod args;
mod conn;
mod flood;
mod publish;
mod readers;
mod setup;
mod stamp;
mod stats;
mod system;
mod ws;
mod zmtp;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

/// What every part of this tool may fail with.
type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("gateway-load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Fallible<()> {
    if let Some(cpu) = cli.cpu {
        system::pin(cpu)?;
    }
    system::raise_open_files()?;
    match &cli.command {
        Command::Readers(args) => readers::run(args),
        Command::Publish(args) => publish::run(args),
        Command::Flood(args) => flood::run(args),
    }
}
