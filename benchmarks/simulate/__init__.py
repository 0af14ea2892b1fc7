"""
What `make simulate` runs: thousands of random histories of trackers, each made from its seed, against an oracle.

`steps` draws a history, `history` carries it out, `fleet` runs the tool on virtual time (`virtual`) against the
simulated agents (`agents`), and `oracle` says what must hold; it knows docs/apis/asset_tracker.md and nothing of the
provider.
"""
