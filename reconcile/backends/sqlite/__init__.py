"""The state in a file: one SQLite database per fleet, `state/<fleet>.db`."""
