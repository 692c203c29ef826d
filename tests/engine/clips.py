"""The windows of a sample as jobs for an engine."""

from app.audio.voice_activity import VoiceActivity
from app.audio.windowing import WindowPacker, WindowPolicy
from app.domain import Hypothesis, Window
from app.engine.speech_model import DecodeOptions, Job
from app.engine.whisper import WhisperEngine
from tests.support.recordings import load_sample


def windows(name: str) -> list[Window]:
    samples = load_sample(name)
    packer, detector = WindowPacker(WindowPolicy(8.0, 0.3)), VoiceActivity()
    return packer.push(detector.push(samples)) + packer.push(detector.flush()) + packer.flush()


def job(engine: WhisperEngine, window: Window) -> Job:
    whole = [(0.0, window.duration)]
    features = engine.features(window.samples, full_context=True)  # so that all may share a batch
    encoding = Job("r", window.duration, features, stretches=whole)
    encoding.encoded = engine.encode([encoding])[0]
    return encoding


def alone(engine: WhisperEngine, jobs: list[Job], options: DecodeOptions) -> list[Hypothesis]:
    return [engine.decode([each], [options])[0] for each in jobs]
