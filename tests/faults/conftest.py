"""The table of what was tried, at the end of the tests."""

import pytest

from tests.faults.harness import NOTE, Attempts, table


@pytest.fixture
def attempt(request):
    """Judges attempts and notes them under the area that the test's file is named after."""
    attempts = Attempts(request.module.__name__.rpartition("test_")[2].replace("_", " "))
    yield attempts
    notes = [(attempts.area, what, outcome, number) for (what, outcome), number in attempts.notes.items()]
    request.node.user_properties.append((NOTE, notes))


def pytest_terminal_summary(terminalreporter):
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    notes = [
        tuple(note)
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, notes in report.user_properties
        if name == NOTE
        for note in notes
    ]
    if notes:
        terminalreporter.section("attempts to break ispbench")
        for line in table(notes):
            terminalreporter.write_line(line)
