"""What `make bench` measures: everything side by side in one run, reported as figures of that run and as ratios."""
