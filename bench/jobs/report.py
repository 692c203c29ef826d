"""What a soak of jobs has found, and what of it must not be."""

from collections import Counter
from dataclasses import dataclass, field

ENDED = ("completed", "failed", "cancelled", "expired")


@dataclass(slots=True)
class Report:
    accepted: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Of the jobs that were accepted alone, without the lines of batches."""
    faults: Counter[str] = field(default_factory=Counter)
    steps_not_reached: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Accepted, and without a row."""
    wrong_ends: list[str] = field(default_factory=list)
    """Jobs whose end is not one that they can have."""
    published_more_than_once: int = 0
    not_published: int = 0
    wrong_words: int = 0
    run_more_than_once: int = 0
    batches: Counter[str] = field(default_factory=Counter)
    """By status."""
    batch_lines: int = 0
    batches_out_of_order: int = 0
    events: int = 0
    events_not_delivered: int = 0
    deliveries_repeated: int = 0
    orphans_swept: int = 0
    objects_without_row: int = 0
    rows_without_object: int = 0
    seconds: float = 0.0

    def failures(self) -> list[str]:
        found = [
            f"{name}: {getattr(self, name)}"
            for name in (
                "lost",
                "wrong_ends",
                "published_more_than_once",
                "not_published",
                "wrong_words",
                "batches_out_of_order",
                "events_not_delivered",
                "objects_without_row",
                "rows_without_object",
            )
            if getattr(self, name)
        ]
        if self.accepted != sum(self.statuses[each] for each in ENDED):
            found.append(f"of {self.accepted} jobs not all have ended: {dict(self.statuses)}")
        if set(self.batches) != {"completed"}:
            found.append(f"batches are {dict(self.batches)}")
        return found


def text(report: Report) -> str:
    equation = " + ".join(f"{report.statuses[each]} {each}" for each in ENDED)
    lines = [
        f"{report.accepted} accepted = {equation}, in {report.seconds:.0f} s",
        f"faults: {report.faults.total()}, {dict(report.faults)}",
        f"steps not reached: {dict(report.steps_not_reached)}",
        f"run more than once: {report.run_more_than_once}; orphans swept: {report.orphans_swept}",
        f"batches: {dict(report.batches)}, {report.batch_lines} lines",
        f"events: {report.events}, delivered once more: {report.deliveries_repeated}",
        *(f"FAILED: {each}" for each in report.failures()),
    ]
    return "\n".join(lines)
