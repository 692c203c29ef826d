"""What a client cannot send, or hands on no answer to: the notes below the table."""

from tests.conformance.case import ClientName

Cannot = dict[ClientName, str]
NO_STREAM: Cannot = {"LiteLLM": "LiteLLM does not stream transcriptions"}
NO_ROUTE: Cannot = {"LiteLLM": "LiteLLM has no such route"}
OWN_LIST: Cannot = {"LiteLLM": "LiteLLM answers from its own list"}
ASKS_VERBOSE: Cannot = {
    "LiteLLM": "LiteLLM asks for `verbose_json` instead, which has no `languages`"
}
SENT_BY_ONE: Cannot = dict.fromkeys(
    ("async", "raw", "streaming", "strict"),
    "each way of openai-python sends json, the first one all formats",
)
DROPS_SCORES: Cannot = {"LiteLLM": "LiteLLM drops `logprobs` from the answer"}
