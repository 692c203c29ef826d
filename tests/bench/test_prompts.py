"""Announcements for callers, in several languages and in noise."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from app.domain import SAMPLE_RATE
from bench.hearing.corpus import Spoken
from bench.hearing.packages import Package, Prompts
from bench.hearing.prompts import noisy


def test_noise_is_as_many_decibels_below_the_speech_and_the_same_each_time() -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) * 0.3).astype(np.float32) * np.float32(0.2)
    spoken = Spoken("tone", tone, "la")
    assert noisy(spoken, None) is spoken
    for decibels in (20, 5):
        noise = noisy(spoken, decibels).samples - tone
        ratio = np.mean(np.square(tone)) / np.mean(np.square(noise))
        assert 10 * np.log10(ratio) == pytest.approx(decibels, abs=0.2)
        assert np.array_equal(noisy(spoken, decibels).samples - tone, noise)


def test_prompts_have_the_texts_of_their_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"sounds": tmp_path / "sounds", "texts": tmp_path / "texts"}
    monkeypatch.setattr(Package, "unpacked", lambda package: folders[package.name])
    recorded = folders["sounds"] / "usr/share/asterisk/sounds/es_MX_f_Allison"
    (recorded / "dir").mkdir(parents=True)
    for name in ("activated", "dir/nomore", "beep"):
        (recorded / f"{name}.g722").write_bytes(b"")
    listing = folders["texts"] / "usr/share/doc/core-sounds-es.txt.gz"
    listing.parent.mkdir(parents=True)
    text = (
        "\ufeff; a comment: no prompt\nactivated: Activado.\ndir/nomore: No: nada más.\ngone: no."
    )
    listing.write_bytes(gzip.compress(text.encode()))
    prompts = Prompts("es", Package("sounds", "", "", ""), Package("texts", "", "", ""))
    assert list(prompts.read()) == [
        ("activated", recorded / "activated.g722", "Activado."),
        ("dir/nomore", recorded / "dir/nomore.g722", "No: nada más."),
    ]
