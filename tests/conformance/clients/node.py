"""openai-node: a process sends all cases of one recording, as a stream of unknown length."""

import json
import subprocess
from collections.abc import Callable, Sequence
from functools import cache

from tests.conformance.case import Answer, Case, Json
from tests.support.live_server import ROOT
from tests.support.programs import require

FOLDER = ROOT / "tests" / "conformance" / "node"


def node(base_url: str, cases: Sequence[Case]) -> Callable[[Case], Answer]:
    """Sends all the cases of a recording when it is first asked for one."""

    @cache
    def answers(sample: str) -> dict[str, Json]:
        program = require("node")
        calls = [
            {
                "id": case.id,
                "route": case.route,
                "path": str(case.path),
                "model": case.model,
                "fields": dict(case.fields),
            }
            for case in cases
            if case.sample == sample and "Node" not in case.cannot
        ]
        process = subprocess.run(
            [program, str(FOLDER / "client.mjs")],
            input=json.dumps({"baseURL": base_url, "calls": calls}).encode(),
            check=True,
            capture_output=True,
            timeout=90,
        )
        result: dict[str, Json] = json.loads(process.stdout)
        return result

    def ask(case: Case) -> Answer:
        answer = answers(case.sample)[case.id]
        assert "error" not in answer, answer["error"]
        return Answer(answer["content"], answer["headers"])

    return ask
