"""`python -m bench.attacks`: attack a server, and watch what others notice.

During each attack `/health/ready` must answer within a second, clips of another key within three
times what they take before it (medians), and resident memory must not grow by more than 500 MiB.
"""

import argparse
import json
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.services import models_directory
from app.settings import read_settings
from bench import chosen_model
from bench.attacks import callers, content, jobs, protocol
from bench.attacks.observer import Observation, Observer, Subject, observed
from bench.attacks.target import Attack, BoundBroken, Target
from bench.calls import SPEECH
from bench.server import START_SECONDS, running
from tests.support.api_keys import keys
from tests.support.client import TRANSCRIPTIONS
from tests.support.model_names import STARTER
from tests.support.waiting import wait_until

ATTACKS: tuple[Attack, ...] = (
    *content.ATTACKS,
    *protocol.ATTACKS,
    *callers.ATTACKS,
    *jobs.ATTACKS,
)

MAX_READY_SECONDS = 1.0
MAX_CLIP_RATIO = 3.0
MAX_GROWTH_MIB = 500.0
CLIPS = 3
"""Of another key: during an attack at least, and before it."""

ATTACKER_KEY = "the key of an attacker"
OTHER_KEY = "the key of another caller"


@dataclass(frozen=True, slots=True)
class Result:
    attack: str
    outcome: str
    is_held: bool
    """Whether the server did what it should with the attack itself."""
    idle: Observation
    during: Observation

    @property
    def ratio(self) -> float:
        """Median time of the clips during the attack over that before it."""
        return self.during.median_clip / max(self.idle.median_clip, 1e-9)

    def faults(self) -> list[str]:
        """What others noticed; empty if all bounds hold."""
        found = [] if self.is_held else [self.outcome]
        found += sorted(set(self.during.faults))
        if self.during.worst_ready > MAX_READY_SECONDS:
            found.append(f"ready after {self.during.worst_ready:.1f} s")
        if self.ratio > MAX_CLIP_RATIO:
            found.append(f"a clip after {self.ratio:.1f} times its idle time")
        if self.during.growth > MAX_GROWTH_MIB:
            found.append(f"memory +{self.during.growth:.0f} MiB")
        return found


def attacked(observer: Observer, target: Target, attack: Attack, clips: int = CLIPS) -> Result:
    """Observe the server for some clips without the attack, then for as many or until its end."""
    before = observer.period()
    before.wait_for_clips(clips)
    idle = before.observation()
    during, is_held = observer.period(), True
    while True:
        try:
            outcome = attack.run(target)
        except (BoundBroken, OSError, httpx.HTTPError) as error:
            is_held, outcome = False, str(error) or type(error).__name__
        if not (attack.repeats and is_held) or during.observation().clip_count >= clips:
            break
    during.wait_for_clips(1)
    during.wait_for_memory()
    return Result(attack.name, outcome, is_held, idle, during.observation())


@contextmanager
def attackable(model: str) -> Iterator[tuple[Observer, Target]]:
    """An observed server with two callers, and with two small models beside `model` in one room."""
    wav = (SPEECH / "libri_0890.wav").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # root's own PostgreSQL runs as another user
        with socket.create_server(("127.0.0.1", 0)) as free:
            host_port = free.getsockname()[1]
        small = [Path(folder, name) for name in ("first", "second")]
        for each in small:
            each.symlink_to(STARTER)
        settings = {
            "VERBATIM_MODEL": model,
            "VERBATIM_MODELS__SERVED": json.dumps([str(each) for each in small]),
            "VERBATIM_MODELS__MAX_RESIDENT": "2",
            "VERBATIM_SERVER__IDLE_CONNECTION_SECONDS": str(protocol.IDLE_SECONDS),
            "VERBATIM_JOBS__ENABLED": "true",
            "VERBATIM_JOBS__DIRECTORY": str(Path(folder, "jobs")),
            "VERBATIM_FETCH__ENABLED": "true",
            "VERBATIM_FETCH__SCHEMES": '["https", "http"]',
            "VERBATIM_FETCH__PORTS": f"[443, {host_port}]",
            "VERBATIM_FETCH__ALLOW": '["127.0.0.1"]',
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
            "VERBATIM_ACCESS__SIGNING_KEY": "a signing key of bench.attacks and no other",
            "VERBATIM_ACCESS__KEYS": keys(attacker={"key": ATTACKER_KEY}, other={"key": OTHER_KEY}),
        }
        with running(["app"], settings) as server:
            target = Target(server.base_url, ATTACKER_KEY, wav, OTHER_KEY, host_port)
            pid = server.process.pid
            wait_until(lambda: target.takes_jobs, START_SECONDS)
            text = target.post(wav).json()["text"]
            ready, clips = server.base_url + "/health/ready", server.base_url + TRANSCRIPTIONS
            with observed(Subject(ready, clips, pid, OTHER_KEY, wav, text)) as observer:
                yield observer, target


def line(result: Result) -> str:
    """A row of the table."""
    during = result.during
    cells = (
        result.attack,
        result.outcome,
        f"{during.worst_ready:.2f} s ({result.idle.worst_ready:.2f} s)",
        f"{during.median_clip:.1f} s, {result.ratio:.1f} ({during.worst_clip:.1f} s)",
        f"+{during.growth:.0f} MiB",
        "; ".join(result.faults()) or "held",
    )
    return f"| {' | '.join(cells)} |"


HEADER = (
    "| attack | its answer | ready, slowest (before) | another's clip, over idle (slowest) "
    "| memory | |\n"
    "|---|---|---|---|---|---|"
)


def default_model() -> str:
    """base if it is here, else the tests' small model."""
    here = models_directory(read_settings()).find(chosen_model.DEFAULT)
    return chosen_model.DEFAULT if here else str(STARTER)


def run(model: str, attacks: Sequence[Attack]) -> list[Result]:
    results = []
    print(HEADER, flush=True)
    with attackable(model) as (observer, target):
        for attack in attacks:
            results.append(attacked(observer, target, attack))
            print(line(results[-1]), flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("--only", metavar="WORD", default="", help="attacks with it in their names")
    chosen_model.add_argument(parser, default=default_model())
    arguments = parser.parse_args()
    attacks = [attack for attack in ATTACKS if arguments.only in attack.name]
    results = run(arguments.model, attacks)
    fallen = [result for result in results if result.faults()]
    print(f"\n{len(results) - len(fallen)} of {len(results)} held")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
