"""The simulated Asset Tracker API; `api` answers, `trackers` holds."""
