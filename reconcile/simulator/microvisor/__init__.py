"""The simulated Microvisor API; `api` answers, `account` holds."""
