"""Whisper's languages: ISO 639-1 codes (and three longer ones) and their English names.

The order and the names are those of the language tokens of openai/whisper's tokenizer.
"""

_TABLE = """
    en:english zh:chinese de:german es:spanish ru:russian ko:korean fr:french ja:japanese
    pt:portuguese tr:turkish pl:polish ca:catalan nl:dutch ar:arabic sv:swedish it:italian
    id:indonesian hi:hindi fi:finnish vi:vietnamese he:hebrew uk:ukrainian el:greek ms:malay
    cs:czech ro:romanian da:danish hu:hungarian ta:tamil no:norwegian th:thai ur:urdu
    hr:croatian bg:bulgarian lt:lithuanian la:latin mi:maori ml:malayalam cy:welsh sk:slovak
    te:telugu fa:persian lv:latvian bn:bengali sr:serbian az:azerbaijani sl:slovenian
    kn:kannada et:estonian mk:macedonian br:breton eu:basque is:icelandic hy:armenian ne:nepali
    mn:mongolian bs:bosnian kk:kazakh sq:albanian sw:swahili gl:galician mr:marathi pa:punjabi
    si:sinhala km:khmer sn:shona yo:yoruba so:somali af:afrikaans oc:occitan ka:georgian
    be:belarusian tg:tajik sd:sindhi gu:gujarati am:amharic yi:yiddish lo:lao uz:uzbek
    fo:faroese ht:haitian_creole ps:pashto tk:turkmen nn:nynorsk mt:maltese sa:sanskrit
    lb:luxembourgish my:myanmar bo:tibetan tl:tagalog mg:malagasy as:assamese tt:tatar
    haw:hawaiian ln:lingala ha:hausa ba:bashkir jw:javanese su:sundanese yue:cantonese
"""

LANGUAGES = {code: name for code, name in (pair.split(":") for pair in _TABLE.split())}

_CODES = {name: code for code, name in LANGUAGES.items()}


def language_name(code: str) -> str:
    """The lower-case English name of a code, as in verbose_json: `en` -> `english`."""
    return LANGUAGES.get(code, code).replace("_", " ")


def language_code(text: str) -> str | None:
    """The code for a client's `en`, `EN`, `en-US` or `english`; None if it is no language."""
    wanted = text.strip().lower()
    base = wanted.replace("_", "-").split("-")[0]
    return next((code for code in (wanted, base) if code in LANGUAGES), None) or _CODES.get(
        wanted.replace(" ", "_")
    )
