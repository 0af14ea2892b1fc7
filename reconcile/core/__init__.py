"""The pure middle: what a fleet should be, what it is, and the plan between them. No I/O, no clock, no chance."""
