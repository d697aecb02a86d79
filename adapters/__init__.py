"""Broker feeds: a base class, a pool, a registry, one package per protocol family."""
