"""The simulated Device Management API; `api` answers, `directory` holds, `rollout` moves campaigns."""
