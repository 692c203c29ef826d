"""Arrays of numpy -> one tensor of CTranslate2."""

from collections.abc import Sequence
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from app.engine.speech_model import Job


def stacked(jobs: Sequence[Job]) -> ctranslate2.StorageView:
    """The encoder outputs of encoded jobs as one tensor, shape (jobs, positions, width)."""
    rows = [job.encoded for job in jobs if job.encoded is not None]
    return ctranslate2.StorageView.from_array(batch(rows))


def batch(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows of one shape as one contiguous array, without a copy if there is only one."""
    return np.stack(rows) if len(rows) > 1 else rows[0][None]
