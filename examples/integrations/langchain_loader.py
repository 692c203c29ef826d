"""Recordings of a folder as LangChain's documents.

pip install langchain-community openai pydub
python examples/integrations/langchain_loader.py FOLDER
"""

import sys

from langchain_community.document_loaders.generic import GenericLoader
from langchain_community.document_loaders.parsers.audio import OpenAIWhisperParser

loader = GenericLoader.from_filesystem(
    sys.argv[1],
    glob="*.mp3",
    parser=OpenAIWhisperParser(
        base_url="http://127.0.0.1:8000/v1", api_key="any", model="whisper-1"
    ),
)
for document in loader.lazy_load():
    print(document.metadata["source"], document.page_content)
