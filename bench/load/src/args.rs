//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Load for the gateway's benches.
#[derive(Parser)]
pub struct Cli {
    /// Run on this CPU only
    #[arg(long, global = true)]
    pub cpu: Option<usize>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// WebSocket readers that count, check and time what they get
    Readers(ReadersArgs),
    /// Ticks onto the bus, open loop at a fixed rate
    Publish(PublishArgs),
    /// A server that sends frames as fast as it can: the ceiling of the readers
    Flood(FloodArgs),
}

/// Shape of the market data that the readers ask for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The payload under `data`
    Nested,
    /// The payload's fields beside symbol and exchange
    Flat,
}

/// When the readers are done.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// All connected, authenticated and subscribed
    Ready,
    /// Ticks came and then stopped
    Idle,
    /// `--max-seconds` are over
    Hold,
}

/// Options of `readers`.
#[derive(Args)]
pub struct ReadersArgs {
    /// Address of the server
    #[arg(long, default_value = "127.0.0.1:8765")]
    pub address: String,
    /// API key to authenticate with
    #[arg(long, env = "GATEWAY_BENCH_KEY", hide_env_values = true, default_value = "bench")]
    pub api_key: String,
    /// Readers that read
    #[arg(long, default_value_t = 10)]
    pub readers: usize,
    /// Readers that subscribe like the others and then never read
    #[arg(long, default_value_t = 0)]
    pub stall: usize,
    /// Symbols that each reader subscribes, B0001 and up on NSE
    #[arg(long, default_value_t = 100)]
    pub symbols: usize,
    /// Conflation window to ask for, ms
    #[arg(long, default_value_t = 0)]
    pub conflate_ms: u32,
    /// Shape of the market data to ask for
    #[arg(long, value_enum, default_value_t = Format::Nested)]
    pub format: Format,
    /// The server takes no requests: neither authenticate nor subscribe
    #[arg(long)]
    pub bare: bool,
    /// Authenticate but subscribe nothing
    #[arg(long)]
    pub connect_only: bool,
    /// Connections being set up at one time
    #[arg(long, default_value_t = 50)]
    pub in_flight: usize,
    /// When to stop
    #[arg(long, value_enum, default_value_t = Until::Idle)]
    pub until: Until,
    /// With `--until idle`: stop after this long without a tick, ms
    #[arg(long, default_value_t = 1000)]
    pub idle_ms: u64,
    /// Stop after this long in any case, s
    #[arg(long, default_value_t = 60.0)]
    pub max_seconds: f64,
    /// Latencies of ticks stamped in the first seconds are left out, s
    #[arg(long, default_value_t = 1.0)]
    pub warm_up: f64,
}

/// What a published payload holds.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// A last traded price
    Ltp,
    /// A price, quote fields and five levels on each side
    Depth,
    /// The same fields under the topic of an LTP tick: large messages for servers that do not nest modes
    Large,
}

/// Options of `publish`.
#[derive(Args)]
pub struct PublishArgs {
    /// Address of the bus
    #[arg(long, default_value = "127.0.0.1:5555")]
    pub address: String,
    /// Ticks per second
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// How long, s
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Symbols taken in turn, B0001 and up on NSE
    #[arg(long, default_value_t = 100)]
    pub symbols: usize,
    /// What a tick holds
    #[arg(long, value_enum, default_value_t = Payload::Ltp)]
    pub payload: Payload,
    /// Longest time between two writes, us
    #[arg(long, default_value_t = 1000)]
    pub burst_us: u64,
    /// Ticks are dropped while more than this waits for the bus, MiB
    #[arg(long, default_value_t = 64)]
    pub high_water_mib: usize,
    /// How long to wait for the other side to subscribe, s
    #[arg(long, default_value_t = 10.0)]
    pub wait: f64,
}

/// Options of `flood`.
#[derive(Args)]
pub struct FloodArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8799")]
    pub address: String,
    /// Connections to wait for
    #[arg(long, default_value_t = 10)]
    pub connections: usize,
    /// How long, s
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
}
