from pathlib import Path

from bench.calls import call
from bench.load import Answer, Upload
from bench.open_loop import Run, plot, report


def test_the_report_has_percentiles_refusals_and_word_errors(tmp_path: Path) -> None:
    upload = Upload.of(call(2.0))
    answers = [Answer(upload, at, at, at + 1.0 + at / 100, 200, upload.text) for at in range(100)]
    answers.append(Answer(upload, 0.0, 0.25, 0.3, 503, ""))
    run = Run(answers, ())
    text = report(run)
    assert "101 recordings sent, 100 answered, 1 refused, 0 others; 0.0% of the words" in text
    assert "250 ms late at worst" in text
    assert "p50 1.50 s" in text
    assert "p99 1.98 s" in text
    plot(run, "a title", tmp_path / "results" / "plot.png")
    assert (tmp_path / "results" / "plot.png").read_bytes().startswith(b"\x89PNG")
