"""Templates and expressions: a closed world of names, bounded work, and values of their own type."""
