"""The files of a fleet as one: what may stand where, variables, and the settings of the main file."""
