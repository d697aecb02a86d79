"""REST API of the trade process: transport, keys, limits and documents around a TradeService."""
