//! Topics of the tick bus (zmq-bus, "Reading a market-data topic").

/// What a tick carries and what a subscription delivers. Modes nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Last traded price.
    Ltp = 1,
    /// Day's prices, volume, best bid and ask.
    Quote = 2,
    /// Order book levels.
    Depth = 3,
}

impl Mode {
    /// All modes, lowest first.
    pub const ALL: [Mode; 3] = [Mode::Ltp, Mode::Quote, Mode::Depth];

    /// The mode with the number that clients use.
    pub fn from_number(number: u8) -> Option<Mode> {
        Mode::ALL.get(usize::from(number).wrapping_sub(1)).copied()
    }

    /// 0, 1 or 2.
    pub fn index(self) -> usize {
        self as usize - 1
    }

    /// The topic's last segment.
    pub fn segment(self) -> &'static str {
        ["LTP", "QUOTE", "DEPTH"][self.index()]
    }

    /// As answers to clients spell it.
    pub fn label(self) -> &'static str {
        ["LTP", "Quote", "Depth"][self.index()]
    }
}

/// Exchanges by number; the common names of websocket-protocol, "Requests".
pub const EXCHANGES: [&str; 14] = [
    "NSE",
    "BSE",
    "NFO",
    "BFO",
    "CDS",
    "BCD",
    "MCX",
    "NCDEX",
    "NCO",
    "NSE_INDEX",
    "BSE_INDEX",
    "MCX_INDEX",
    "GLOBAL_INDEX",
    "CRYPTO",
];

/// Longest symbol that is accepted, bytes.
pub const MAX_SYMBOL: usize = 64;

/// The number of an exchange, or `None` for an unknown one.
pub fn exchange_id(name: &str) -> Option<u8> {
    EXCHANGES.iter().position(|known| *known == name).map(|at| at as u8)
}

/// True for 1 to 64 printable ASCII characters without quotes, backslashes or outer blanks.
pub fn well_formed_symbol(symbol: &str) -> bool {
    let bytes = symbol.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= MAX_SYMBOL
        && bytes.iter().all(|b| matches!(b, 0x20..=0x7e) && *b != b'"' && *b != b'\\')
        && bytes[0] != b' '
        && bytes[bytes.len() - 1] != b' '
}

/// A market-data topic taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// The broker in front, which older publishers send.
    pub broker: Option<&'a str>,
    /// Index into [`EXCHANGES`].
    pub exchange: u8,
    /// Symbol in the common format; may hold `_`.
    pub symbol: &'a str,
    /// The tick's mode.
    pub mode: Mode,
}

/// What kind of traffic a topic announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A tick.
    Market(Topic<'a>),
    /// `BROKER_USERID_orders`: relayed to that user's order subscribers.
    Orders,
    /// `CACHE_INVALIDATE_TYPE_USERID`.
    CacheInvalidate,
    /// `..._positions`, `..._margins`: private, ignored.
    Private,
    /// Looks like market data but is not well formed.
    Malformed,
    /// Anything else.
    Unknown,
}

/// Sorts a topic into its [`Kind`].
pub fn classify(topic: &[u8]) -> Kind<'_> {
    let Ok(text) = std::str::from_utf8(topic) else {
        return Kind::Malformed;
    };
    if text.starts_with("CACHE_INVALIDATE_") {
        return Kind::CacheInvalidate;
    }
    let Some((head, last)) = text.rsplit_once('_') else {
        return Kind::Unknown;
    };
    let mode = match last {
        "LTP" => Mode::Ltp,
        "QUOTE" => Mode::Quote,
        "DEPTH" => Mode::Depth,
        "orders" => return Kind::Orders,
        "positions" | "margins" => return Kind::Private,
        _ => {
            // An exchange in front and an unknown mode behind is a broken tick, not a stranger.
            return if market(text, Mode::Ltp).is_some() { Kind::Malformed } else { Kind::Unknown };
        }
    };
    market(head, mode).map_or(Kind::Malformed, Kind::Market)
}

/// True where canonical topics of ticks may begin with `prefix`.
pub fn may_begin(prefix: &[u8]) -> bool {
    EXCHANGES.iter().any(|exchange| {
        let exchange = exchange.as_bytes();
        if prefix.len() <= exchange.len() {
            exchange.starts_with(prefix)
        } else {
            prefix.starts_with(exchange) && prefix[exchange.len()] == b'_'
        }
    })
}

fn market(head: &str, mode: Mode) -> Option<Topic<'_>> {
    if let Some((exchange, symbol)) = split_exchange(head) {
        return checked(Topic { broker: None, exchange, symbol, mode });
    }
    let (broker, rest) = head.split_once('_')?;
    let (exchange, symbol) = split_exchange(rest)?;
    let fits =
        !broker.is_empty() && broker.len() <= 32 && broker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !fits {
        return None;
    }
    checked(Topic { broker: Some(broker), exchange, symbol, mode })
}

fn checked(topic: Topic<'_>) -> Option<Topic<'_>> {
    well_formed_symbol(topic.symbol).then_some(topic)
}

fn split_exchange(text: &str) -> Option<(u8, &str)> {
    let (first, rest) = text.split_once('_')?;
    if let Some(behind) = rest.strip_prefix("INDEX") {
        let index = match first {
            "NSE" => "NSE_INDEX",
            "BSE" => "BSE_INDEX",
            "MCX" => "MCX_INDEX",
            "GLOBAL" => "GLOBAL_INDEX",
            _ => "",
        };
        if let (Some(id), Some(symbol)) = (exchange_id(index), behind.strip_prefix('_')) {
            return Some((id, symbol));
        }
        if exchange_id(index).is_some() && behind.is_empty() {
            return Some((exchange_id(index)?, ""));
        }
    }
    Some((exchange_id(first)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(topic: &str) -> Option<(Option<&str>, &str, &str, Mode)> {
        match classify(topic.as_bytes()) {
            Kind::Market(t) => Some((t.broker, EXCHANGES[usize::from(t.exchange)], t.symbol, t.mode)),
            _ => None,
        }
    }

    #[test]
    fn well_formed_topics() {
        assert_eq!(parsed("NSE_SBIN_LTP"), Some((None, "NSE", "SBIN", Mode::Ltp)));
        assert_eq!(parsed("NSE_INDEX_NIFTY_QUOTE"), Some((None, "NSE_INDEX", "NIFTY", Mode::Quote)));
        assert_eq!(parsed("CRYPTO_SOL_INR_LTP"), Some((None, "CRYPTO", "SOL_INR", Mode::Ltp)));
        assert_eq!(parsed("angel_NSE_SBIN_DEPTH"), Some((Some("angel"), "NSE", "SBIN", Mode::Depth)));
        assert_eq!(parsed("angel_BSE_INDEX_SENSEX_LTP"), Some((Some("angel"), "BSE_INDEX", "SENSEX", Mode::Ltp)));
        assert_eq!(parsed("NSE_M&M_LTP"), Some((None, "NSE", "M&M", Mode::Ltp)));
        assert_eq!(parsed("NSE_INDEXFUND_LTP"), Some((None, "NSE", "INDEXFUND", Mode::Ltp)));
    }

    #[test]
    fn malformed_topics() {
        for topic in
            ["NSE_LTP", "NSE_INDEX_LTP", "NSE__LTP", "NSE_SBIN_TICK", "NSE_A\u{7}_LTP", "x_y_LTP", "_NSE_SBIN_LTP"]
        {
            assert_eq!(classify(topic.as_bytes()), Kind::Malformed, "{topic}");
        }
        assert_eq!(classify(b"NSE_\xff_LTP"), Kind::Malformed);
    }

    #[test]
    fn prefixes_of_ticks() {
        for prefix in ["", "N", "NSE", "NSE_", "NSE_SB", "NSE_INDEX_NIFTY_", "GLOBAL", "CRYPTO_SOL_INR_LTP"] {
            assert!(may_begin(prefix.as_bytes()), "{prefix}");
        }
        for prefix in ["_", "_health", "x", "NSEX", "angel_NSE_SBIN_LTP", "\0"] {
            assert!(!may_begin(prefix.as_bytes()), "{prefix}");
        }
    }

    #[test]
    fn other_kinds() {
        assert_eq!(classify(b"zerodha_asha_k_orders"), Kind::Orders);
        assert_eq!(classify(b"ANALYZE_asha_orders"), Kind::Orders);
        assert_eq!(classify(b"CACHE_INVALIDATE_AUTH_asha"), Kind::CacheInvalidate);
        assert_eq!(classify(b"zerodha_asha_positions"), Kind::Private);
        assert_eq!(classify(b"hello"), Kind::Unknown);
        assert_eq!(classify(b"hello_world"), Kind::Unknown);
        assert_eq!(classify(b""), Kind::Unknown);
    }
}
