"""Zerodha: Kite Connect v3 (KITE)."""

from adapters.zerodha.adapter import ZerodhaAdapter

__all__ = ["ZerodhaAdapter"]
