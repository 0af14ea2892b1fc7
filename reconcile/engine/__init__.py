"""The story's two verbs: `observe` reads what is live, `apply` writes what a plan says."""
