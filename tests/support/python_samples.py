"""Python samples of the documents, run in this process, which has imported what they import."""

import gc
import warnings
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import httpx
from openai import OpenAI


def printed_by_python(source: str) -> str:
    """What a sample prints. What it leaves open is closed, as the end of a program would."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with redirect_stdout(StringIO()) as output, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of files
        exec(source, names)
        for value in names.values():
            if isinstance(value, httpx.Client | OpenAI):
                value.close()
        names.clear()
        gc.collect()
    return output.getvalue()
