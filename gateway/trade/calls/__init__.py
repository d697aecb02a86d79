"""The calls of the REST API on the desk and the prices, by subject: orders, GTTs, books, quotes, symbols, mode."""
