from itertools import pairwise
from statistics import fmean, pstdev

import pytest

from bench.calls import call, sentences
from bench.profiles import PROFILES, Profile, moments


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_no_agent_talks_for_more_than_an_hour_per_hour(profile: Profile) -> None:
    ordinary = profile.recordings_per_hour * profile.mean_seconds / 3600
    assert 0 < ordinary * profile.busy_factor < 1
    assert 0 <= profile.live_share <= 1


def test_a_thousand_sales_agents_are_ten_times_a_hundred() -> None:
    hundred, thousand = PROFILES["sales-100"], PROFILES["sales-1000"]
    assert hundred.recordings_per_second == pytest.approx(100 * 6 * 1.5 / 3600)
    assert hundred.live_sessions == pytest.approx(0.25 * 0.2 * 300)
    assert hundred.audio_seconds_per_second == pytest.approx(75)
    assert thousand.audio_seconds_per_second == pytest.approx(750)
    assert thousand.audio_hours_per_hour == pytest.approx(500)


def test_lengths_have_the_mean_and_nearly_the_variation_of_the_profile() -> None:
    profile = PROFILES["sales-100"]
    lengths = profile.lengths(2000)
    assert fmean(lengths) == pytest.approx(profile.mean_seconds)
    assert pstdev(lengths) / fmean(lengths) == pytest.approx(profile.variation, rel=0.05)


def test_moments_are_a_poisson_process_and_the_same_for_a_seed() -> None:
    at = list(moments(10.0, 1000.0, seed=3))
    assert at == list(moments(10.0, 1000.0, seed=3))
    assert at != list(moments(10.0, 1000.0, seed=4))
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert fmean(gaps) == pytest.approx(0.1, rel=0.05)
    assert pstdev(gaps) == pytest.approx(0.1, rel=0.05)  # as of an exponential distribution


def test_at_half_the_rate_moments_are_the_same_but_stretched() -> None:
    fast = list(moments(10.0, 5.0, seed=0))
    assert list(moments(5.0, 10.0, seed=0)) == pytest.approx([2 * at for at in fast])


def test_a_call_has_about_the_requested_length_and_whole_sentences() -> None:
    longest = max(each.seconds for each in sentences())
    for seconds in (1.0, 12.0, 100.0):
        made = call(seconds, first=2)
        assert abs(made.seconds - seconds) <= longest
        assert made.text.startswith(sentences()[2].text)
        assert len(made.wav) == 44 + len(made.pcm)
