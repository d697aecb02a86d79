"""Instrument masters: the common record, its CSV files under GATEWAY_HOME/instruments, loading and searching."""

from gateway.instruments.load import LoadResult, load_for, load_master
from gateway.instruments.record import InstrumentRecord
from gateway.instruments.search import SearchHit, search
from gateway.instruments.table import folder, master_path, read_master, stored_brokers

__all__ = [
    "InstrumentRecord",
    "LoadResult",
    "SearchHit",
    "folder",
    "load_for",
    "load_master",
    "master_path",
    "read_master",
    "search",
    "stored_brokers",
]
