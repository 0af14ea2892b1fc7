"""Plans, states, problems and outcomes as programs read them."""

from reconcile.render.json.plan import plan_json, plan_json_text
from reconcile.render.json.results import apply_json, problems_json, state_json
from reconcile.render.json.values import dumps, plain, position_json

__all__ = [
    "apply_json",
    "dumps",
    "plain",
    "plan_json",
    "plan_json_text",
    "position_json",
    "problems_json",
    "state_json",
]
