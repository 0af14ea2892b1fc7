"""The conformance suite, over this provider: `pytest test_signage.py` where it and reconcile are installed."""

import contextlib

from signs_server import TOKEN, Signs, serving

from reconcile.conformance import Account, Case, suite


class SignAccount(Account):
    """The signs of one run, changed at the server and not through reconcile."""

    secrets = (TOKEN,)

    def __init__(self, signs):
        self.signs, self.url = signs, signs.url

    @classmethod
    @contextlib.contextmanager
    def served(cls):
        with serving(Signs()) as signs:
            yield cls(signs)

    def environ(self, url):
        return {"SIGNAGE_TOKEN": TOKEN}

    def live(self):
        return [(sign["name"], {**sign}) for sign in self.signs.signs]

    def change(self, id, path, value):
        self.signs.named(id)[path[0]] = value

    def remove(self, id):
        self.signs.signs.remove(self.signs.named(id))

    def add(self, name):
        self.signs.signs.append({"name": name, "text": "somebody else's", "brightness": 1, "pin": None})
        return name


TestSigns = suite(
    Case(
        type="signage.signs",
        account=SignAccount.served,
        entry={"text": "Open till 8", "brightness": 80, "pin": "env:OLD_PIN"},
        other={"text": "Geöffnet bis 9", "brightness": 20, "pin": "env:NEW_PIN"},
        environ={"OLD_PIN": "pin-0815", "NEW_PIN": "pin-4711"},
        page_size="limit",
    )
)
