"""One package per system that devices are managed through; found by `registry`."""
