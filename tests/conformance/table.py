"""`python -m tests.conformance.table` runs the tests and writes docs/conformance.md's table."""

import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Literal, cast, get_args

import pytest

from tests.conformance.case import Case, ClientName
from tests.conformance.cases import CASES
from tests.support.live_server import ROOT

PAGE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- conformance -->\n", "<!-- /conformance -->\n"
TESTS = Path(__file__).with_name("test_conformance.py")

CAPTION = """\
`real speech` is `samples/jfk.flac` and the five LibriVox sentences in one recording, of which
Whisper base must transcribe all 92 words. The other rows are of the tests' small model."""

Outcome = Literal["passed", "failed", "skipped"]
Outcomes = Mapping[tuple[ClientName, str], Outcome]
"""By client and id of the case."""


class Collector:
    """A pytest plugin that keeps how each client fared with each case."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[ClientName, str], Outcome] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        client = cast(ClientName, item.callspec.params["client"])
        pair = client, cast(Case, item.callspec.params["case"]).id
        if not report.passed or pair not in self.outcomes:
            self.outcomes[pair] = report.outcome
        return report


def render(outcomes: Outcomes) -> str:
    """The table in Markdown: rows of cases, columns of clients, notes on what cannot be sent."""
    clients = get_args(ClientName)
    notes = list(dict.fromkeys(note for case in CASES for note in case.cannot.values()))
    lines = [
        f"| | with | {' | '.join(clients)} |",
        "|---|---|" + ":-:|" * len(clients),
    ]
    for row in dict.fromkeys(case.row for case in CASES):
        cases = [case for case in CASES if case.row == row]
        cells = [_cell(client, cases, outcomes, notes) for client in clients]
        names = ", ".join(case.name for case in cases)
        lines.append(f"| {row} | {names} | {' | '.join(cells)} |")
    explained = "; ".join(f"{_mark(number)} {note}" for number, note in enumerate(notes, 1))
    return "\n".join([*lines, "", f"{explained}.", "", CAPTION]) + "\n"


def _cell(client: ClientName, cases: list[Case], outcomes: Outcomes, notes: list[str]) -> str:
    sent = [outcomes[client, case.id] for case in cases if client not in case.cannot]
    reasons = {case.cannot[client] for case in cases if client in case.cannot}
    marks = [_mark(number) for number, note in enumerate(notes, 1) if note in reasons]
    return ("-" if not sent else "✓" if set(sent) == {"passed"} else "✗") + "".join(marks)


def _mark(number: int) -> str:
    return "⁰¹²³⁴⁵⁶⁷⁸⁹"[number]


def written_table() -> str:
    """What stands in docs/conformance.md now."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> int:
    collector = Collector()
    # Modules that this one has imported keep their plain asserts.
    quiet = ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = pytest.main([*quiet, str(TESTS)], plugins=[collector])
    if "skipped" in collector.outcomes.values():
        print(f"Some clients are not installed; {PAGE.name} stays as it was.", file=sys.stderr)
        return 1
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + render(collector.outcomes) + END + after, encoding="utf-8")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
