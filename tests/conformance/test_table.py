"""The table of docs/conformance.md belongs to these cases, and claims no more than they show."""

from typing import get_args

from tests.conformance.case import ClientName
from tests.conformance.cases import CASES
from tests.conformance.table import Outcome, render, written_table


def outcomes(value: Outcome) -> dict[tuple[ClientName, str], Outcome]:
    return {(client, case.id): value for client in get_args(ClientName) for case in CASES}


def test_the_page_has_the_table_that_these_tests_give_when_they_pass() -> None:
    assert written_table() == render(outcomes("passed"))


def test_no_tick_stands_where_a_test_failed() -> None:
    one_failed = outcomes("passed") | {("curl", CASES[0].id): "failed"}
    assert render(one_failed).count("✗") == 1
    assert "✓" not in render(outcomes("failed"))


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
