"""LangChain's parser of recordings, in the environment of `requirements.txt`: prints what each
format's documents say, {format: [text]}.

Arguments: the server's address without a path, and a recording. The parser is the one for Azure:
`OpenAIWhisperParser` makes the same call, with an MP3 that FFmpeg's program would have to write.
"""

import json
import sys

from langchain_community.document_loaders.blob_loaders import Blob
from langchain_community.document_loaders.parsers.audio import AzureOpenAIWhisperParser


def main(url: str, path: str) -> None:
    answers = {}
    for response_format in ("json", "verbose_json", "text"):
        parser = AzureOpenAIWhisperParser(
            api_key="any key",
            azure_endpoint=url,
            api_version="2024-10-21",
            deployment_name="whisper-1",
            language="en",
            temperature=0,
            response_format=response_format,
            max_retries=0,
        )
        documents = parser.lazy_parse(Blob.from_path(path))
        answers[response_format] = [each.page_content.strip() for each in documents]
    print(json.dumps(answers))


main(*sys.argv[1:])
