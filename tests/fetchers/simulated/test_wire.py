from fetchers.simulated.wire import fill, html_answer, json_answer, whole_number


def test_fill_writes_one_row_per_template() -> None:
    """Each template takes its values from the columns, in order."""
    assert fill(["a%d:%s", "b%d:%s"], [1, 2], ["x", "y"]) == "a1:x,b2:y"


def test_whole_number_takes_digits_only() -> None:
    """Signs, points, blanks and other scripts' digits are no limits."""
    assert [whole_number(text) for text in ("50", "0", "-1", "5.0", "", " 5", "\u0665")] == [50, 0, *[None] * 5]


def test_answers_carry_their_type() -> None:
    """JSON is written, bytes are taken as they are, a page is a page."""
    assert json_answer({"a": 1}, status=400).body == b'{"a":1}'
    assert json_answer(b"[]").body == b"[]"
    assert html_answer(403, "No").content_type == "text/html"
