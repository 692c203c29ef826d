"""The attacks and their observer, with the small model; times are the bench's business."""

import multiprocessing
import time

import pytest

from bench.attacks.__main__ import ATTACKS, Result, attackable, attacked, line
from bench.attacks.observer import Observation, Observer, Sample
from tests.support.model_names import STARTER

QUICK = (
    "client secret, a list of 2 MiB",
    "`session.update`, a list of 1 MiB",
    "56 MiB of small headers",
    "what is no HTTP",
    "foreign pages drain",
    "`Origin: http://[`; a client secret for /stream",
    "guessed keys",
    "25 MiB of `&` as a form",
    "a webhook's receiver that answers 102 for ever",
)


def test_quick_attacks_are_answered_as_they_should_be_and_others_are_served() -> None:
    quick = [attack for attack in ATTACKS if attack.name in QUICK]
    assert len(quick) == len(QUICK)
    with attackable(str(STARTER)) as (observer, target):
        results = [attacked(observer, target, attack, clips=1) for attack in quick]
    assert [result.attack for result in results if not result.is_held] == []
    for result in results:
        assert result.during.faults == [], "another caller has a 200 and the same words"
        assert result.during.clips
        assert result.during.ready
        assert result.during.resident
        assert result.outcome in line(result)


@pytest.mark.timeout(60)
def test_an_observer_is_not_stopped_by_samples_that_are_not_read_yet() -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    period = Observer(ours).period()
    count = 10_000
    for _ in range(count):  # far more than a pipe has room for
        theirs.send(Sample("clip", time.monotonic(), 1.0))
    theirs.close()
    with pytest.raises(EOFError):
        period.wait_for_clips(count + 1)
    ours.close()


@pytest.mark.parametrize(
    ("during", "fault"),
    [
        (Observation([0.1, 1.2], [3.0], [], [100.0]), "ready after 1.2 s"),
        (Observation([0.1], [3.1], [], [100.0]), "a clip after 3.1 times its idle time"),
        (Observation([0.1], [2.9, 2.9, 9.0], [], [100.0, 601.0, 90.0]), "memory +501 MiB"),
        (Observation([0.1], [1.0], ["clip 503"], [100.0]), "clip 503"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_others_notice_is_judged(during: Observation, fault: str) -> None:
    idle = Observation([0.1], [1.0, 0.9, 5.0], [], [100.0])
    assert Result("attack", "400", is_held=True, idle=idle, during=during).faults() == [fault]
