"""Every resource built once and checked: models, references, units and names."""
