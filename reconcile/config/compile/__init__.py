"""Entries and blocks compiled once: layers, slots and templates, from which a resource is built on demand."""
