from camseek.words import counted


def test_counted():
    assert [counted(number, "picture") for number in (0, 1, 2, 12400)] == [
        "0 pictures",
        "1 picture",
        "2 pictures",
        "12,400 pictures",
    ]
    assert [counted(number, "query", "queries") for number in (1, 3)] == ["1 query", "3 queries"]
