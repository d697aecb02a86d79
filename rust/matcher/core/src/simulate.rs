//! A made-up market: seeded random walks with books, volumes and day's prices that fit together.
//!
//! The whole universe moves whether anybody listens or not, so the ticks depend on the seed alone. All
//! prices are integers in units of 10^-`decimals`, on the instrument's tick grid. Futures and options
//! follow their underlying, so a chain keeps its order of strikes and its put-call parity but for a tick or two.

mod write;

pub use write::write_tick;

/// Fewest ticks above zero that a price may fall to, so that five bids still fit below it.
const FLOOR_TICKS: i64 = 12;
/// A step's largest move is this part of the price: about 1 % in a trading day at 5 ticks a second.
const STEP_PART: i64 = 20_000;
/// Strength of the pull back to the previous close, in steps.
const PULL: u64 = 65_536;
/// Daily price band: the close divided by this, to either side.
const BAND_PART: i64 = 10;

/// A small generator (splitmix64): one 64-bit state, the same on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 to `n` - 1; 0 for `n` = 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from -`n` to `n`.
    pub fn around(&mut self, n: i64) -> i64 {
        let n = n.max(0);
        self.below(2 * n as u64 + 1) as i64 - n
    }
}

/// Scrambles 64 bits (the output function of splitmix64).
pub(crate) fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where an instrument's price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// A random walk of its own around the previous close.
    Walk {
        /// previous close, scaled
        close: i64,
    },
    /// A future: the underlying's price plus the cost of carry.
    Future {
        /// index of the underlying, smaller than the instrument's own
        underlying: usize,
        /// cost of carry, millionths of the underlying's price
        carry_ppm: i64,
    },
    /// An option: intrinsic value plus a time value that is largest at the money, delta a half there.
    Option {
        /// index of the underlying, smaller than the instrument's own
        underlying: usize,
        /// strike, scaled
        strike: i64,
        /// true for a call, false for a put
        call: bool,
        /// time value at the money, millionths of the underlying's close
        time_ppm: i64,
    },
}

/// What does not change about an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// decimals of all prices of this instrument
    pub decimals: u32,
    /// tick size, scaled
    pub tick: i64,
    /// smallest tradable quantity
    pub lot: u64,
    /// false for an index: no trades, no book
    pub traded: bool,
    /// source of the price
    pub motion: Motion,
}

/// One instrument and its day so far.
#[derive(Clone, Debug)]
pub struct Instrument {
    pub(crate) spec: Spec,
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) close: i64,
    pub(crate) ltp: i64,
    pub(crate) ltq: u64,
    pub(crate) ltt_ms: u64,
    pub(crate) volume: u64,
    /// sum of price × quantity of all trades
    pub(crate) value: u128,
    pub(crate) buy_lots: u64,
    pub(crate) sell_lots: u64,
    pub(crate) oi: u64,
    /// the book is read out of these bits when somebody wants to see it
    pub(crate) book: u64,
}

/// All instruments, moved one tick at a time in an order that visits each once per round.
pub struct Simulator {
    rng: Rng,
    instruments: Vec<Instrument>,
    order: Vec<u32>,
    next: usize,
}

impl Simulator {
    /// A market at its open. The error names the first spec that makes no sense and why.
    pub fn new(seed: u64, specs: &[Spec]) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        let mut instruments: Vec<Instrument> = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            check(spec, &instruments).map_err(|why| format!("instrument {index}: {why}"))?;
            let opened = open(spec, &instruments, &mut rng);
            instruments.push(opened);
        }
        let order: Vec<u32> = (0..specs.len() as u32).collect();
        let next = order.len();
        Ok(Simulator { rng, instruments, order, next })
    }

    /// How many instruments there are.
    pub fn len(&self) -> usize {
        self.instruments.len()
    }

    /// True for a market without instruments.
    pub fn is_empty(&self) -> bool {
        self.instruments.is_empty()
    }

    /// One instrument as it stands.
    pub fn instrument(&self, index: usize) -> Option<&Instrument> {
        self.instruments.get(index)
    }

    /// Lets one trade happen at `now_ms` (Unix ms) and says to which instrument; `None` in an empty market.
    pub fn advance(&mut self, now_ms: u64) -> Option<usize> {
        if self.instruments.is_empty() {
            return None;
        }
        if self.next >= self.order.len() {
            self.shuffle();
        }
        let index = self.order[self.next] as usize;
        self.next += 1;
        let ltp = self.next_price(index);
        trade(&mut self.instruments[index], ltp, now_ms, &mut self.rng);
        Some(index)
    }

    fn shuffle(&mut self) {
        for at in (1..self.order.len()).rev() {
            let other = self.rng.below(at as u64 + 1) as usize;
            self.order.swap(at, other);
        }
        self.next = 0;
    }

    fn next_price(&mut self, index: usize) -> i64 {
        let this = &self.instruments[index];
        if let Motion::Walk { close } = this.spec.motion {
            return walk(this.ltp, close, this.spec.tick, &mut self.rng);
        }
        let noise = self.rng.around(1);
        let fair = derived(&this.spec, &self.instruments, |underlying| underlying.ltp);
        at_least_floor(fair + noise * this.spec.tick, this.spec.tick)
    }
}

fn check(spec: &Spec, before: &[Instrument]) -> Result<(), String> {
    if spec.tick <= 0 || spec.lot == 0 || spec.decimals > 8 {
        return Err(format!("tick {}, lot {}, decimals {}", spec.tick, spec.lot, spec.decimals));
    }
    let underlying = match spec.motion {
        Motion::Walk { close } if close >= 2 * FLOOR_TICKS * spec.tick && close % spec.tick == 0 => {
            return Ok(());
        }
        Motion::Walk { close } => {
            return Err(format!("close {close} is off the grid of {} or too low", spec.tick));
        }
        Motion::Future { underlying, .. } | Motion::Option { underlying, .. } => underlying,
    };
    match before.get(underlying) {
        Some(found) if found.spec.decimals == spec.decimals => Ok(()),
        Some(_) => Err("decimals differ from the underlying's".to_owned()),
        None => Err(format!("underlying {underlying} does not come before it")),
    }
}

fn open(spec: &Spec, before: &[Instrument], rng: &mut Rng) -> Instrument {
    let (close, open) = match spec.motion {
        Motion::Walk { close } => {
            let gap = rng.around(close / 200 / spec.tick) * spec.tick;
            (close, at_least_floor(close + gap, spec.tick))
        }
        _ => (
            at_least_floor(derived(spec, before, |underlying| underlying.close), spec.tick),
            at_least_floor(derived(spec, before, |underlying| underlying.open), spec.tick),
        ),
    };
    let volume = if spec.traded { spec.lot * (1_000 + rng.below(20_000)) } else { 0 };
    let is_derivative = !matches!(spec.motion, Motion::Walk { .. }) || spec.lot > 1;
    Instrument {
        spec: *spec,
        open,
        high: open,
        low: open,
        close,
        ltp: open,
        ltq: 0,
        ltt_ms: 0,
        volume,
        value: volume as u128 * open as u128,
        buy_lots: 5_000 + rng.below(20_000),
        sell_lots: 5_000 + rng.below(20_000),
        oi: if spec.traded && is_derivative { spec.lot * (10_000 + rng.below(100_000)) } else { 0 },
        book: rng.next_u64(),
    }
}

fn walk(ltp: i64, close: i64, tick: i64, rng: &mut Rng) -> i64 {
    let step = rng.around((ltp / STEP_PART / tick).max(1));
    let away = (ltp - close) / tick;
    let pull = if rng.below(PULL) < away.unsigned_abs() { -away.signum() } else { 0 };
    let band = close / BAND_PART / tick * tick;
    let moved = (ltp + (step + pull) * tick).clamp(close - band, close + band);
    at_least_floor(moved, tick)
}

fn at_least_floor(price: i64, tick: i64) -> i64 {
    price.max(FLOOR_TICKS * tick)
}

fn derived(spec: &Spec, before: &[Instrument], price_of: impl Fn(&Instrument) -> i64) -> i64 {
    let fair = match spec.motion {
        Motion::Walk { close } => close,
        Motion::Future { underlying, carry_ppm } => {
            let spot = price_of(&before[underlying]);
            spot + (i128::from(spot) * i128::from(carry_ppm) / 1_000_000) as i64
        }
        Motion::Option { underlying, strike, call, time_ppm } => {
            let base = &before[underlying];
            let distance = price_of(base) - strike;
            option_value(base.close, if call { distance } else { -distance }, time_ppm)
        }
    };
    (fair + spec.tick / 2).div_euclid(spec.tick) * spec.tick
}

/// A hyperbola between nothing far out of the money and the `distance` far in it, with half of the distance's
/// slope at the money: a higher strike never makes a dearer call, and call less put is the distance exactly.
fn option_value(close: i64, distance: i64, time_ppm: i64) -> i64 {
    let at_the_money = i128::from(close) * i128::from(time_ppm) / 1_000_000;
    let squares = i128::from(distance).pow(2) + 4 * at_the_money.pow(2);
    ((i128::from(distance) + squares.isqrt()) / 2) as i64
}

fn trade(this: &mut Instrument, ltp: i64, now_ms: u64, rng: &mut Rng) {
    this.ltp = ltp;
    this.high = this.high.max(ltp);
    this.low = this.low.min(ltp);
    this.ltt_ms = now_ms;
    this.book = rng.next_u64();
    if !this.spec.traded {
        return;
    }
    let bits = rng.next_u64();
    // Most trades are small: the lower of two draws.
    let lots = 1 + (bits & 31).min((bits >> 5) & 31);
    this.ltq = lots * this.spec.lot;
    this.volume += this.ltq;
    this.value += u128::from(this.ltq) * ltp as u128;
    this.buy_lots = drift(this.buy_lots, (bits >> 10) & 63);
    this.sell_lots = drift(this.sell_lots, (bits >> 16) & 63);
    if this.oi > 0 {
        this.oi = (this.oi + ((bits >> 22) & 15) * this.spec.lot).saturating_sub(7 * this.spec.lot).max(this.spec.lot);
    }
}

/// Moves a number of lots by -31 to 32, never below what five levels can show.
fn drift(lots: u64, bits: u64) -> u64 {
    (lots + bits).saturating_sub(31).clamp(2_000, 100_000)
}

#[cfg(test)]
mod tests;
