"""Mixing of layouts that FFmpeg cannot mix: channels without a place, or of unusual places."""

import ctypes

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.plane import AudioPlane

from app.audio.channels import Channels

_FORMATS = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
"""FFmpeg's names of packed sample formats -> numpy's; planar ones have a `p` at their end."""

_BINAURAL = "binaural"
"""The one standard layout that FFmpeg has no coefficients for."""

_USUAL_COUNTS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24})
"""Counts of channels for which FFmpeg assumes a layout if a file has none."""

# The fields `order` and `nb_channels` of FFmpeg's `AVChannelLayout`, of 24 bytes, are all that an
# `AudioLayout` has after Python's own header.
_LAYOUT_BYTES = 24
_Fields = ctypes.c_int * 2
_FIELDS_AT = AudioLayout.__basicsize__ - _LAYOUT_BYTES
_UNSPECIFIED, _NATIVE, _CUSTOM = range(3)


class Layout:
    """The layout of a decoded frame.

    It makes PyAV's copy safe to free: PyAV 17.1 to 19.0 free the map of a custom layout once with
    the frame and once with the copy, which ends the process (PyAV-Org/PyAV#2284).
    """

    __slots__ = ("channel_count", "is_mixed_by_ffmpeg", "is_standard", "name")

    def __init__(self, layout: AudioLayout) -> None:
        self.name = layout.name
        self.channel_count = layout.nb_channels
        fields = _fields(layout)
        order = fields[0]
        if order == _CUSTOM:
            fields[0] = _UNSPECIFIED  # has no map
        self.is_standard = " " not in self.name
        """FFmpeg names it, as `5.1(side)`. Others are `3 channels (FL+FR+BC)`, `9 channels` or
        `ambisonic 1`."""
        self.is_mixed_by_ffmpeg = (
            self.channel_count in _USUAL_COUNTS
            if order == _UNSPECIFIED
            else order == _NATIVE and self.is_standard and self.name != _BINAURAL
        )


def mixed(frame: AudioFrame, layout: Layout, channel_count: int) -> AudioFrame:
    """The frame in a layout that FFmpeg mixes; of `channel_count` channels unless it is standard.

    All channels weigh the same in one; of an ambisonic recording, the first is the sound from
    everywhere. `layout`: of the frame. Raises ValueError for a sample format without a number.
    """
    channels = _channels(frame, layout.channel_count)
    if layout.is_standard and layout.name != _BINAURAL:
        name = layout.name
    elif len(channels) == channel_count:
        name = "stereo" if channel_count == 2 else "mono"
    else:
        name = "mono"
        is_ambisonic = layout.name.startswith("ambisonic")
        channels = channels[:1] if is_ambisonic else channels.mean(axis=0, keepdims=True)
    packed = np.ascontiguousarray(channels.T).reshape(1, -1)
    result = AudioFrame.from_ndarray(packed, format="flt", layout=name)
    result.sample_rate = frame.sample_rate
    return result


def peak(frame: AudioFrame, layout: Layout) -> float:
    """The largest absolute value of all channels; 1 is full scale."""
    return float(np.abs(np.nan_to_num(_channels(frame, layout.channel_count))).max(initial=0.0))


def _channels(frame: AudioFrame, count: int) -> Channels:
    """The samples, shape (count, n). `AudioFrame.to_ndarray` reads outside planar frames of more
    than seven channels."""
    name = frame.format.name
    is_planar = frame.format.is_planar
    kind = np.dtype(_FORMATS[name.removesuffix("p") if is_planar else name])
    values = frame.samples * (1 if is_planar else count)
    planes = [
        np.frombuffer(memoryview(AudioPlane(frame, number)), kind, values)
        for number in range(count if is_planar else 1)
    ]
    channels = np.stack(planes) if is_planar else planes[0].reshape(-1, count).T
    if kind.kind == "f":
        return channels.astype(np.float32)
    zero, full_scale = (128, 128) if kind.kind == "u" else (0, 2 ** (8 * kind.itemsize - 1))
    return ((channels.astype(np.float64) - zero) / full_scale).astype(np.float32)


def _fields(layout: AudioLayout) -> "ctypes.Array[ctypes.c_int]":
    """`order` and `nb_channels`, in the layout's own memory, while it lives."""
    return _Fields.from_address(id(layout) + _FIELDS_AT)


_surround = AudioLayout("7.1")
assert list(_fields(_surround)) == [_NATIVE, 8], "another PyAV has other layouts"
