"""OpenAlgo gateway: live market data and paper trading for Indian brokers."""

__version__ = "0.1.0"
