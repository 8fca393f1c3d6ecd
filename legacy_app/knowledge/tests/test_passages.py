"""Articles are cut into passages at paragraph borders."""

from legacy_app.knowledge.passages import split


def words(count, word="word"):
    return " ".join([word] * count)


def lengths(body):
    return [len(passage.split()) for passage in split(body)]


def test_short_paragraphs_are_joined_until_there_are_enough_words():
    assert lengths("\n\n".join([words(30)] * 8)) == [90, 90, 60]


def test_a_paragraph_is_never_cut():
    assert lengths(f"{words(300)}\n\n{words(90)}") == [300, 90]


def test_a_passage_grows_by_no_paragraph_that_makes_it_too_long():
    assert lengths(f"{words(70)}\n\n{words(60)}") == [70, 60]


def test_a_short_rest_joins_the_passage_before_it():
    assert lengths(f"{words(85)}\n\n{words(100)}\n\n{words(10)}") == [85, 110]


def test_paragraphs_stay_paragraphs():
    assert split("One.\r\n \t\r\nTwo.\n\n\n\nThree.") == ["One.\n\nTwo.\n\nThree."]


def test_an_empty_article_has_no_passage():
    assert split(" \n\n ") == []
