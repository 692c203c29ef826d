"""What docs/jobs.md tells its readers to run, run."""

import re
import subprocess
from contextlib import redirect_stdout
from io import StringIO

import pytest

from tests.jobs.served_jobs import ServedJobs
from tests.support.api_keys import SALES_KEY
from tests.support.live_server import ROOT
from tests.support.programs import require

TEXT = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_samples_do_what_they_say(jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OPENAI_API_KEY", SALES_KEY)
    printed = []
    for language, source in SAMPLES:
        source = source.replace("http://127.0.0.1:8000/", f"{jobs.url}/")
        printed.append(shell(source) if language == "sh" else python(source))
    assert '"status":"queued"' in printed[0]
    assert "00:00:0" in printed[1], "subtitles"
    assert [line.split()[0] for line in printed[2].splitlines()] == ["call-0", "call-1"]
    assert printed[1].splitlines()[0] == printed[2].splitlines()[0].removeprefix("call-0 ")


def shell(source: str) -> str:
    command = source.replace("curl", f"{require('curl')} --fail", 1)
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def python(source: str) -> str:
    with redirect_stdout(StringIO()) as output:
        exec(source, {"__name__": "__main__"})
    # The server is in this process, and its log goes to the same place.
    lines = output.getvalue().splitlines(keepends=True)
    return "".join(line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:", line))


def test_the_codes_of_wrong_lines_are_those_of_the_code() -> None:
    source = (ROOT / "app" / "jobs" / "batch_lines.py").read_text()
    source += (ROOT / "app" / "jobs" / "batch_expansion.py").read_text()
    for code in set(re.findall(r'LineError\(\s*"(\w+)"', source)):
        assert f"`{code}`" in TEXT, code
