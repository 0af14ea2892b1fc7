"""Where the state lives: one adapter of `core.ports.Store` per place."""
