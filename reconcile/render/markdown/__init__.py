"""Plans for a pull request: Markdown that is safe whatever strangers wrote into it, and that fits."""
