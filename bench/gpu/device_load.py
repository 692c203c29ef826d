"""How busy the GPU is, by the driver's own samples."""

import shutil
import subprocess
from types import TracebackType

SAMPLE_MS = 200


class DeviceLoad:
    """A context manager: `busy_share` is known after it, 0 to 1; None where there is no
    `nvidia-smi`.

    Of the driver's samples, each the share of its period in which some kernel ran.
    """

    def __init__(self) -> None:
        self.busy_share: float | None = None
        self._sampler: subprocess.Popen[str] | None = None

    def __enter__(self) -> "DeviceLoad":
        if program := shutil.which("nvidia-smi"):
            query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            command = [program, *query, f"--loop-ms={SAMPLE_MS}"]
            self._sampler = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sampler is None:
            return
        self._sampler.terminate()
        lines, _ = self._sampler.communicate()
        samples = [int(line) for line in lines.split() if line.isdigit()]
        if samples:
            self.busy_share = sum(samples) / len(samples) / 100
