"""The simulated Asset Tracker API; `section` answers, `trackers` holds."""
