"""Homes of the state: one adapter of `core.ports.Store` per place."""
