from bench.words import Words


def test_digits_are_words() -> None:
    assert Words.of([("Zero four one.", "041")]) == Words(0, 3)


def test_errors_of_all_texts_are_summed() -> None:
    words = Words.of([("one two", "one"), ("three", "tree")]) + Words.of([("four", "four")])
    assert words == Words(2, 4)
    assert words.share == 0.5
    assert str(words) == "2 of 4"


def test_without_words_there_are_no_errors() -> None:
    assert Words.of([]).share == 0.0


def test_words_of_every_script_count() -> None:
    texts = [
        ("Это — первый участник.", "это перви участник"),
        ("C'est l'été, là.", "c'est l'ete la"),
    ]
    assert Words.of(texts) == Words(3, 6)
