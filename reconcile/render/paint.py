"""Colour, only when asked: what each kind of text looks like, and a line with something at its right."""

from __future__ import annotations

from reconcile.render.values import cells

# As people know them from Terraform.
SYMBOLS = {"+": "32", "~": "33", "-": "31", "-/+": "31", ".": "31"}
BOLD, DIM, RED, YELLOW, GREEN = "1", "2", "1;31", "1;33", "1;32"


class Paint:
    """
    Wraps text in SGR codes, or leaves it alone.

    Attributes:
        width: columns that a line may use before what stands at its right is pushed out.
    """

    def __init__(self, color: bool = False, width: int = 100) -> None:
        self.color = color
        self.width = width

    def __call__(self, text: str, code: str) -> str:
        """`text` in the colour of `code`."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text and code else text

    def lead(self, indent: int, symbol: str) -> str:
        """What a line begins with: the symbol at the end of its indent."""
        return symbol.rjust(indent)

    def row(self, indent: int, symbol: str, text: str, right: str = "") -> str:
        """
        One line: a symbol that ends `indent` columns in, a text, and where it comes from at the right edge.

        Args:
            symbol: `+ ~ - -/+ .`, or blanks.
            right: pushed to the right edge; two blanks after the text when there is no room.
        """
        lead, text = self.lead(indent, symbol), text.rstrip()
        if right:
            gap = max(2, self.width - len(lead) - 1 - cells(text) - cells(right))
            right = " " * gap + self(right, DIM)
        if self.color and symbol in SYMBOLS:
            lead = " " * (indent - len(symbol)) + self(symbol, SYMBOLS[symbol])
        return f"{lead} {text}{right}" if text or right else lead

    def heading(self, text: str) -> str:
        """The title of a section."""
        return self(text, BOLD)
