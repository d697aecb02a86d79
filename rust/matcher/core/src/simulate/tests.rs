use super::write::rounded;
use super::*;
use crate::topic::Mode;
use serde_json::Value;

const NOW: u64 = 1_767_600_000_000;

fn walker(close: i64, tick: i64, decimals: u32) -> Spec {
    Spec { decimals, tick, lot: 1, traded: true, motion: Motion::Walk { close } }
}

fn option(strike: i64, call: bool) -> Spec {
    let motion = Motion::Option { underlying: 1, strike, call, time_ppm: 15_000 };
    Spec { decimals: 2, tick: 5, lot: 65, traded: true, motion }
}

fn universe() -> Vec<Spec> {
    let future = Motion::Future { underlying: 1, carry_ppm: 4_000 };
    vec![
        walker(81_250, 5, 2),
        Spec { traded: false, ..walker(2_420_000, 5, 2) },
        Spec { decimals: 2, tick: 10, lot: 65, traded: true, motion: future },
        option(2_420_000, true),
        option(2_420_000, false),
        option(2_600_000, true),
        Spec { lot: 1_000, ..walker(854_325, 25, 4) },
    ]
}

fn market(seed: u64) -> Simulator {
    Simulator::new(seed, &universe()).expect("valid specs")
}

fn text(simulator: &Simulator, index: usize, mode: Mode) -> String {
    let mut out = Vec::new();
    write_tick(simulator.instrument(index).expect("known"), mode, NOW, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn json(simulator: &Simulator, index: usize, mode: Mode) -> Value {
    serde_json::from_str(&text(simulator, index, mode)).expect("JSON")
}

#[test]
fn the_generator_is_splitmix64() {
    // Published first outputs for seed 1234567.
    let mut rng = Rng::new(1_234_567);
    assert_eq!([rng.next_u64(), rng.next_u64()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
}

#[test]
fn the_same_seed_gives_the_same_ticks_and_another_seed_others() {
    let run = |seed| {
        let mut simulator = market(seed);
        let tick = |at| {
            let index = simulator.advance(NOW + at).expect("instruments");
            (index, text(&simulator, index, Mode::Depth))
        };
        (0..500).map(tick).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn every_instrument_ticks_once_in_each_round() {
    let mut simulator = market(3);
    for _ in 0..20 {
        let mut seen: Vec<usize> = (0..7).filter_map(|_| simulator.advance(NOW)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn prices_keep_their_grid_order_and_band() {
    let mut simulator = market(7);
    for at in 0..70_000 {
        let index = simulator.advance(NOW + at).expect("instruments");
        let this = simulator.instrument(index).expect("known");
        assert_eq!(this.ltp % this.spec.tick, 0);
        assert!(this.low <= this.ltp && this.ltp <= this.high && this.low <= this.open && this.open <= this.high);
        if let Motion::Walk { close } = this.spec.motion {
            assert!((this.ltp - close).abs() <= close / 10);
            assert!((this.ltp - close).abs() <= close / 20, "the pull home is too weak: {} {close}", this.ltp);
        }
    }
}

#[test]
fn prices_do_move() {
    let mut simulator = market(7);
    for at in 0..7_000 {
        simulator.advance(NOW + at);
    }
    for index in 0..7 {
        let this = simulator.instrument(index).expect("known");
        assert!(this.high > this.low, "instrument {index} stands still");
    }
}

#[test]
fn depth_is_ordered_around_the_price() {
    let mut simulator = market(11);
    for at in 0..5_000 {
        let index = simulator.advance(NOW + at).expect("instruments");
        let tick = json(&simulator, index, Mode::Depth);
        if index == 1 {
            continue;
        }
        let ltp = tick["ltp"].as_f64().expect("number");
        assert!(tick["bid"].as_f64() < Some(ltp) && Some(ltp) < tick["ask"].as_f64());
        let prices = |side: &str| -> Vec<f64> {
            let rows = tick["depth"][side].as_array().expect("levels");
            assert!(rows.iter().all(|row| row["orders"].as_u64() <= row["quantity"].as_u64()));
            rows.iter().filter_map(|row| row["price"].as_f64()).collect()
        };
        let (buy, sell) = (prices("buy"), prices("sell"));
        assert!(buy.len() == 5 && sell.len() == 5);
        assert!(buy[4] > 0.0 && buy.windows(2).all(|pair| pair[0] > pair[1]));
        assert!(sell.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(tick["depth"]["buy"][0]["price"], tick["bid"]);
        let sum: u64 = (0..5).filter_map(|at| tick["depth"]["buy"][at]["quantity"].as_u64()).sum();
        assert!(Some(sum) <= tick["total_buy_quantity"].as_u64());
    }
}

#[test]
fn volume_grows_by_the_traded_quantity() {
    let mut simulator = market(5);
    let mut before: Vec<u64> = (0..7).filter_map(|at| simulator.instrument(at)).map(|i| i.volume).collect();
    for at in 0..2_000 {
        let index = simulator.advance(NOW + at).expect("instruments");
        let this = simulator.instrument(index).expect("known");
        assert_eq!(this.volume, before[index] + this.ltq);
        assert_eq!(this.ltq % this.spec.lot, 0);
        before[index] = this.volume;
    }
}

#[test]
fn modes_nest_and_an_index_has_no_book() {
    let mut simulator = market(1);
    for _ in 0..7 {
        simulator.advance(NOW);
    }
    let keys = |index, mode| -> Vec<String> {
        json(&simulator, index, mode).as_object().expect("object").keys().cloned().collect()
    };
    assert_eq!(keys(0, Mode::Ltp), ["ltp", "ltt", "ltq", "timestamp"]);
    let quote = keys(0, Mode::Quote);
    assert!(quote.starts_with(&keys(0, Mode::Ltp)));
    assert_eq!([quote, vec!["depth".to_owned()]].concat(), keys(0, Mode::Depth));
    let index: Vec<_> = "ltp ltt timestamp open high low close change change_percent depth".split(' ').collect();
    assert_eq!(keys(1, Mode::Depth), index);
    assert!(keys(2, Mode::Quote).contains(&"oi".to_owned()));
    assert!(!keys(0, Mode::Quote).contains(&"oi".to_owned()));
}

#[test]
fn options_keep_parity_and_the_order_of_strikes() {
    let mut simulator = market(9);
    for at in 0..7_000 {
        simulator.advance(NOW + at);
    }
    let spot = simulator.instrument(1).expect("index").ltp;
    let price = |index: usize| derived(&universe()[index], &simulator.instruments, |i| i.ltp);
    assert!((price(3) - price(4) - (spot - 2_420_000)).abs() <= 10, "put-call parity");
    assert!(price(5) < price(3));
    let at = |distance| option_value(2_400_000, distance, 15_000);
    assert_eq!(at(0), 36_000, "time value at the money");
    assert!((at(1_000) - at(-1_000) - 1_000).abs() <= 1 && (at(500) - at(0) - 250).abs() <= 3, "delta a half");
    assert!(at(-1_000_000) < 1_400 && at(1_000_000) - 1_000_000 < 1_400, "far from the money");
    assert!((price(2) - spot - spot / 250).abs() <= 10, "carry");
}

#[test]
fn change_is_exact() {
    let mut simulator = market(2);
    simulator.instruments[6].ltp = 854_575;
    let tick = text(&simulator, 6, Mode::Quote);
    assert!(tick.contains(r#""ltp":85.4575"#) && tick.contains(r#""change":0.025,"change_percent":0.03"#), "{tick}");
    assert_eq!((rounded(-15, 10), rounded(15, 10), rounded(14, 10)), (-2, 2, 1));
}

#[test]
fn senseless_specs_are_refused_by_number() {
    let refused = |spec| Simulator::new(1, &[walker(100_000, 5, 2), spec]).err().expect("refused");
    assert!(refused(walker(100_001, 5, 2)).starts_with("instrument 1: close 100001"));
    assert!(refused(walker(50, 5, 2)).contains("too low"));
    assert!(refused(walker(100_000, 0, 2)).contains("tick 0"));
    assert!(refused(option(100, true)).contains("underlying 1"));
    let other = Motion::Future { underlying: 0, carry_ppm: 0 };
    assert!(refused(Spec { motion: other, ..walker(1, 25, 4) }).contains("decimals"));
    assert_eq!(Simulator::new(1, &[]).expect("empty").advance(NOW), None);
}
