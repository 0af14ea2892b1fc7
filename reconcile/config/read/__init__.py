"""Files as they stand: YAML and tables with their positions, found below the root and read safely."""
