"""Good and nearly good inputs that the mutator starts from."""

from __future__ import annotations

import orjson

BOOK = b'"depth":{"buy":[{"price":625.45,"quantity":10,"orders":2}],"sell":[{"price":625.55,"quantity":5,"orders":1}]}'
PAYLOADS = (
    b'{"ltp":625.5,"ltt":1705294800000,"timestamp":1705294800000}',
    b'{"ltp":625.5,"open":620,"high":630.05,"low":619.1,"close":621,"volume":123456,"change":-1.5e0,"bid":1,"ask":2}',
    b'{"ltp":625.5,' + BOOK + b"}",
    b"{" + BOOK + b"}",
    b' { "ltp" : 0.05 , "x" : [ 1 , { "a" : null } , true ] } ',
    b'{"ltp":1,"symbol":"X","exchange":"Y","type":"t","mode":9,"broker":"b","data":{},"snapshot":false}',
    '{"ltp":1,"name":"रिलायंस 😀 \\ud83d\\ude00 \\n"}'.encode(),
    b'{"l\\u0074p":1,"m\\u006fde":2,"\\\\u":3}',
    b'{"user_id":"asha","cache_type":"ALL"}',
    b'{"type":"order_update","user_id":"asha","orderid":"1","seq":1}',
)
TOPICS = (
    b"NSE_SBIN_LTP",
    b"NSE_SBIN_QUOTE",
    b"NSE_SBIN_DEPTH",
    b"NSE_INDEX_NIFTY_QUOTE",
    b"CRYPTO_SOL_INR_DEPTH",
    b"angel_NSE_SBIN_LTP",
    b"zerodha_BSE_INDEX_SENSEX_DEPTH",
    b"zerodha_asha_orders",
    b"ANALYZE_a_b_orders",
    b"x_positions",
    b"CACHE_INVALIDATE_AUTH_asha",
    b"hello",
)
HELD = (("NSE", "SBIN"), ("NSE_INDEX", "NIFTY"), ("CRYPTO", "SOL_INR"), ("BSE_INDEX", "SENSEX"))

_REQUESTS = (
    {"action": "authenticate", "api_key": "key-asha", "format": "flat", "conflate_ms": 10, "feed_status": True},
    {"type": "auth", "apikey": "key-ravi", "request_id": 1},
    {"action": "subscribe", "symbols": [{"symbol": "SBIN", "exchange": "NSE"}], "mode": "Quote", "depth": 20},
    {"action": "subscribe", "instruments": [{"symbol": "SOL_INR", "exchange": "CRYPTO", "mode": 3}, "NSE:SBIN"]},
    {"action": "subscribe", "symbol": "NIFTY", "exchange": "NSE_INDEX", "mode": 1, "conflate_ms": 0, "request_id": "a"},
    {"action": "unsubscribe", "symbols": [{"symbol": "SBIN", "exchange": "NSE"}], "mode": 2},
    {"action": "unsubscribe", "symbol": "SBIN", "exchange": "NSE"},
    {"action": "unsubscribe_all"},
    {"action": "unsubscribe", "type": "unsubscribe_all"},
    {"action": "subscribe_orders", "after": 5},
    {"action": "unsubscribe_orders"},
    {"action": "get_broker_info", "request_id": None},
    {"action": "get_supported_brokers", "request_id": 1.5},
    {"action": "ping", "timestamp": 1705294800000, "_pingId": {"a": [1]}},
)
REQUESTS = tuple(orjson.dumps(request) for request in _REQUESTS)
