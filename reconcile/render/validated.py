"""What `validate` found, for the tools of pipelines: JUnit's XML and SARIF 2.1.0."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from reconcile.core.text import printable
from reconcile.errors import Position, Problem

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {"invalid": "The files of a fleet hold a mistake.", "warning": "The files of a fleet may hold a mistake."}


@dataclass(frozen=True, slots=True)
class Validated:
    """
    What became of one fleet.

    Attributes:
        path: as it was given.
    """

    path: str
    problems: Sequence[Problem]
    warnings: Sequence[str | Problem]


def junit(fleets: Sequence[Validated]) -> str:
    """One suite a fleet: a case for each mistake, or one that passed. Warnings are output of their suite."""
    root = ElementTree.Element("testsuites", name="reconcile validate")
    for fleet in fleets:
        failures = str(len(fleet.problems))
        cases = str(max(1, len(fleet.problems)))
        suite = ElementTree.SubElement(
            root, "testsuite", name=_xml(fleet.path), tests=cases, failures=failures, errors="0", skipped="0"
        )
        for problem in fleet.problems:
            where = f" ({problem.where})" if problem.where is not None else ""
            name = f"{problem.address or 'files'}{where}"
            case = ElementTree.SubElement(suite, "testcase", classname=_xml(fleet.path), name=_xml(name))
            if problem.where is not None:
                case.set("file", _xml(problem.where.file))
                case.set("line", str(problem.where.line))
            failure = ElementTree.SubElement(case, "failure", message=_xml(problem.what), type="invalid")
            failure.text = _xml("\n".join(filter(None, (*problem.notes, problem.hint))))
        if not fleet.problems:
            ElementTree.SubElement(suite, "testcase", classname=_xml(fleet.path), name="valid")
        if fleet.warnings:
            out = ElementTree.SubElement(suite, "system-out")
            out.text = _xml("\n".join(f"Warning: {warning}" for warning in fleet.warnings))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def sarif(fleets: Sequence[Validated], version: str, under: str = "") -> dict[str, Any]:
    """
    One run over all fleets.

    Args:
        version: of this tool.
        under: where the working directory is in the repository: `fleets/` or "".
    """
    results = []
    for fleet in fleets:
        results += [_result("invalid", problem, under) for problem in fleet.problems]
        rows = [row if isinstance(row, Problem) else Problem(row) for row in fleet.warnings]
        results += [_result("warning", row, under) for row in rows]
    rules = [{"id": name, "shortDescription": {"text": about}} for name, about in RULES.items()]
    driver = {"name": "reconcile", "version": version, "rules": rules}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(rule: str, problem: Problem, under: str) -> dict[str, Any]:
    said = ". ".join(filter(None, (problem.what, *problem.notes, problem.hint)))
    about = f"{problem.address}: {said}" if problem.address else said
    # Of the mistake, not of its line: what moves down a file is the same mistake.
    print_ = hashlib.sha256(f"{rule}\0{problem.address}\0{problem.what}".encode("utf-8", "replace")).hexdigest()
    out: dict[str, Any] = {
        "ruleId": rule,
        "level": "error" if rule == "invalid" else "warning",
        "message": {"text": printable(about)},
        "partialFingerprints": {"reconcile/v1": print_[:32]},
    }
    if problem.where is not None:
        out["locations"] = [_location(problem.where, under)]
    return out


def _location(where: Position, under: str) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(f"{under}{where.file}")}}
    if where.line:
        place["region"] = {"startLine": where.line, **({"startColumn": where.column} if where.column else {})}
    return {"physicalLocation": place}


def _xml(text: str) -> str:
    """Text that XML may hold: what it may not is an escape."""
    return "\n".join(printable(line) for line in text.split("\n"))
