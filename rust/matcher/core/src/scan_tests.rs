use super::*;
use proptest::prelude::*;

fn ok(text: &str) -> Scan {
    scan(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

#[test]
fn finds_the_numbers() {
    let found = ok(r#"{"ltp": 625.5, "bid":625.45,"ask":625.55,"timestamp":1705294800000}"#);
    assert_eq!(found.ltp, Some(Price(62_550_000_000)));
    assert_eq!(found.bid, Some(Price(62_545_000_000)));
    assert_eq!(found.ask, Some(Price(62_555_000_000)));
    assert!(!found.has_levels && !found.reserved_keys && !found.empty);
}

#[test]
fn finds_the_day_range() {
    let found = ok(r#"{"ltp":5,"high":6.25,"low":4.05,"open":1,"ohlc":{"high":9}}"#);
    assert_eq!((found.high, found.low), (Some(Price(625_000_000)), Some(Price(405_000_000))));
    let found = ok(r#"{"ltp":5,"high":1e30,"low":-0.0}"#);
    assert_eq!((found.high, found.low), (None, Some(Price(0))));
    let found = ok(r#"{"ltp":5,"high":6,"high":null,"bid":1,"bid":"x"}"#);
    assert_eq!((found.high, found.bid), (None, None));
    assert_eq!(scan(br#"{"ltp":5,"low":-0.05}"#), Err(ScanError::BadNumber));
}

#[test]
fn finds_the_first_level_of_each_side() {
    let found =
        ok(r#"{"depth":{"buy":[{"quantity":7,"price":4.9},{"price":4.8}],"sell":[{"price":5.1},{"price":9}]}}"#);
    assert_eq!((found.level_bid, found.level_ask), (Some(Price(490_000_000)), Some(Price(510_000_000))));
    assert_eq!((found.bid, found.ask), (None, None));
    let found = ok(r#"{"depth":{"buy":[{"price":1}],"sell":[]},"depth":{"buy":[],"sell":[{"price":2}]}}"#);
    assert_eq!((found.level_bid, found.level_ask), (None, Some(Price(200_000_000))));
}

#[test]
fn sees_levels() {
    assert!(ok(r#"{"depth":{"buy":[{"price":1,"quantity":2,"orders":3}],"sell":[]}}"#).has_levels);
    assert!(!ok(r#"{"depth":{"buy":[],"sell":[]}}"#).has_levels);
}

#[test]
fn refuses_bad_numbers() {
    for text in [
        r#"{"ltp":NaN}"#,
        r#"{"ltp":-Infinity}"#,
        r#"{"x":Infinity}"#,
        r#"{"ltp":-1}"#,
        r#"{"ltp":1e999}"#,
        r#"{"volume":1e999}"#,
        r#"{"ltp":1e30}"#,
        r#"{"open":-0.05,"ltp":1}"#,
        r#"{"depth":{"buy":[{"price":-1}]}}"#,
        r#"{"l\u0074p":-1}"#,
        r#"{"ltp":0e2147483647}"#,
    ] {
        assert_eq!(scan(text.as_bytes()), Err(ScanError::BadNumber), "{text}");
    }
    ok(r#"{"ltp":1,"change":-3.5,"low":-0.0}"#);
}

#[test]
fn refuses_what_is_not_one_object() {
    for text in [
        "",
        " ",
        "[]",
        "1",
        "null",
        "{",
        "{}}",
        "{} {}",
        r#"{"a":}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{'a':1}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":tru}"#,
        r#"{"a":+1}"#,
        "{\"a\":1}\0",
        r#"{"a":.5}"#,
        r#"{"a":"\udc00"}"#,
    ] {
        assert_eq!(scan(text.as_bytes()), Err(ScanError::Malformed), "{text}");
    }
    assert_eq!(scan(b"{\"a\":\"\xff\"}"), Err(ScanError::Malformed));
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(scan(deep.as_bytes()), Err(ScanError::Malformed));
}

#[test]
fn flags_for_the_flat_format() {
    assert!(ok(r#"{"ltp":1,"symbol":"X"}"#).reserved_keys);
    assert!(ok(r#"{"ltp":1,"m\u006fde":"X"}"#).reserved_keys);
    assert!(!ok(r#"{"ltp":1,"x":{"mode":1}}"#).reserved_keys);
    assert!(ok(r#"{"ltp":1,"snapshot":true}"#).reserved_keys);
    assert!(!ok(r#"{"ltp":1,"a\u0062":1}"#).reserved_keys);
    assert!(ok(" { } ").empty);
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    assert_eq!(ok(r#"{"ltp":1,"ltp":2}"#).ltp, Some(Price(200_000_000)));
    assert_eq!(ok(r#"{"ltp":1,"ltp":null}"#).ltp, None);
    assert_eq!(ok(r#"{"ltp":1,"l\u0074p":"x"}"#).ltp, None);
}

#[test]
fn drops_reserved_members() {
    let kept = |text: &str| String::from_utf8(without_reserved(text.as_bytes())).expect("UTF-8");
    assert_eq!(kept(r#"{"ltp":1,"symbol":"X","b":[{}]}"#), r#""ltp":1,"b":[{}]"#);
    assert_eq!(kept(r#" { "m\u006fde":1 , "broker" : {"a":1} }"#), "");
    assert_eq!(kept(r#"{"a\u0062":1,"type":2}"#), r#""a\u0062":1"#);
    assert_eq!(kept(r#"{"\\u":1,"\\u006dode":2,"\"":3,"type":4}"#), r#""\\u":1,"\\u006dode":2,"\"":3"#);
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(&bytes);
    }

    /// What we take serde_json takes too, and what we call malformed it refuses.
    #[test]
    fn agrees_with_serde(text in r#"\{("(ltp|a|b)":(-?[0-9]{1,3}(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?|"[a-z\\"u0]{0,4}"|\[[0-9,]{0,4}\]|\{\}|null|true),?){0,3}\}"#) {
        let ours = scan(text.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
        match ours {
            Ok(_) => prop_assert!(theirs.is_ok(), "{}", text),
            Err(ScanError::Malformed) => prop_assert!(theirs.is_err(), "{}", text),
            // A bad number ends the scan: what follows it may be anything.
            Err(ScanError::BadNumber) => (),
        }
    }
}
