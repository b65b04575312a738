"""Sounds whose edges are known because they were put there."""

from __future__ import annotations

import numpy as np

from edge_agents.audio.speech_edges import Pcm


def silence(seconds: float, rate_hz: int = 16000) -> Pcm:
    """Digital silence."""
    return np.zeros(round(seconds * rate_hz), np.int16)


def tone(seconds: float, rate_hz: int = 16000, *, hz: float = 220.0, dbfs: float = -18.0) -> Pcm:
    """A sine of that RMS level."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return _scaled(np.sin(2 * np.pi * hz * time), dbfs)


def noise(seconds: float, rate_hz: int = 16000, *, dbfs: float = -60.0, seed: int = 1) -> Pcm:
    """White noise of that RMS level."""
    return _scaled(np.random.default_rng(seed).standard_normal(round(seconds * rate_hz)), dbfs)


def voice(seconds: float, rate_hz: int = 16000, *, dbfs: float = -20.0, pitch_hz: float = 115.0) -> Pcm:
    """Harmonics of a voice, as a formant synthesizer makes them: one vowel."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = np.arange(1, int(3400 / pitch_hz) + 1)
    wave = (np.sin(2 * np.pi * pitch_hz * harmonics[:, None] * time) / harmonics[:, None]).sum(axis=0)
    return _scaled(wave, dbfs)


def ramped(pcm: Pcm, ramp_s: float, rate_hz: int = 16000) -> Pcm:
    """Fade in and out over `ramp_s` at each end."""
    count = min(round(ramp_s * rate_hz), len(pcm) // 2)
    gain = np.ones(len(pcm))
    if count:
        gain[:count] = np.linspace(0, 1, count, endpoint=False)
        gain[-count:] = gain[:count][::-1]
    return (pcm * gain).astype(np.int16)


def pasted(sound: Pcm, background: Pcm, at: int) -> Pcm:
    """`background` with `sound` added at sample `at`."""
    mixed = background.astype(np.int32)
    mixed[at : at + len(sound)] += sound
    return np.clip(mixed, -32768, 32767).astype(np.int16)


def _scaled(wave: np.ndarray, dbfs: float) -> Pcm:
    level = (np.sqrt(np.mean(np.square(wave))) if len(wave) else 0.0) or 1.0
    return np.clip(wave / level * 32768 * 10 ** (dbfs / 20), -32768, 32767).astype(np.int16)
