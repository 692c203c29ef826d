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

_OTHER_CODES = """
    en:eng zh:zho,chi,cmn de:deu,ger es:spa ru:rus ko:kor fr:fra,fre ja:jpn pt:por tr:tur pl:pol
    ca:cat nl:nld,dut ar:ara,arb sv:swe it:ita id:in,ind hi:hin fi:fin vi:vie he:iw,heb uk:ukr
    el:ell,gre ms:msa,may,zsm cs:ces,cze ro:mo,ron,rum,mol da:dan hu:hun ta:tam no:nb,nor,nob
    th:tha ur:urd hr:hrv bg:bul lt:lit la:lat mi:mri,mao ml:mal cy:cym,wel sk:slk,slo te:tel
    fa:fas,per,pes,prs lv:lav,lvs bn:ben sr:sh,srp,hbs az:aze,azj sl:slv kn:kan et:est,ekk
    mk:mkd,mac br:bre eu:eus,baq is:isl,ice hy:hye,arm ne:nep,npi mn:mon,khk bs:bos kk:kaz
    sq:sqi,alb,als sw:swa,swh gl:glg mr:mar pa:pan,pnb si:sin km:khm sn:sna yo:yor so:som af:afr
    oc:oci ka:kat,geo be:bel tg:tgk sd:snd gu:guj am:amh yi:ji,yid,ydd lo:lao uz:uzb,uzn fo:fao
    ht:hat ps:pus,pbt,pbu tk:tuk nn:nno mt:mlt sa:san lb:ltz my:mya,bur bo:bod,tib tl:fil,tgl
    mg:mlg,plt as:asm tt:tat ln:lin ha:hau ba:bak jw:jv,jav su:sun
"""
"""Codes of ISO 639-1 (the withdrawn ones too), 639-2 and 639-3 for the same languages."""

_OTHER_NAMES = """
    my:burmese ca:valencian nl:flemish ht:haitian lb:letzeburgesch ps:pushto pa:panjabi
    ro:moldavian,moldovan si:sinhalese es:castilian zh:mandarin no:bokmal,norwegian_bokmal
    nn:norwegian_nynorsk tl:filipino
"""
"""Mostly those of openai/whisper's tokenizer."""

_CODES = {name: code for code, name in LANGUAGES.items()} | {
    other: code
    for pair in (_OTHER_CODES + _OTHER_NAMES).split()
    for code, others in [pair.split(":")]
    for other in others.split(",")
}

DETECTED = ("", "auto", "multi", "null", "none", "undefined")
"""What clients write for no one language: a menu's default, and values that were never set."""


def language_name(code: str) -> str:
    """The lower-case English name of a code, as in verbose_json: `en` -> `english`."""
    return LANGUAGES.get(code, code).replace("_", " ")


def language_code(text: str) -> str | None:
    """The code for `en`, `EN`, `en-US`, `eng` or `english`; None if it is no language of Whisper.

    Of BCP 47 the language decides, script and country are dropped; `zh-yue` is `yue`.
    """
    wanted = text.strip().lower().replace("-", "_").replace(" ", "_")
    base, *subtags = wanted.split("_")
    if base == "zh" and "yue" in subtags:
        return "yue"
    found = (each if each in LANGUAGES else _CODES.get(each) for each in (wanted, base))
    return next(filter(None, found), None)


def is_detected(text: str) -> bool:
    """True for what clients write when the language is to be detected."""
    return text.strip().lower() in DETECTED
