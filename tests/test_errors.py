import pytest

from medssl.errors import LeakageError, MissingExtraError, require


def test_a_leak_names_its_participants():
    error = LeakageError({"p2", "p1"}, "train and test")
    assert "2 participant(s) on both sides of train and test: p1, p2." in str(error)
    assert error.participants == ["p1", "p2"]


def test_a_long_leak_is_counted():
    message = str(LeakageError([f"p{i}" for i in range(9)], "a and b"))
    assert "9 participant(s)" in message
    assert "and 4 more" in message


def test_an_absent_package_names_its_extra():
    with pytest.raises(MissingExtraError, match=r"reading moon maps needs .*medssl\[moon\]"):
        require("no_such_package", extra="moon", purpose="reading moon maps")
    assert require("json", extra="x", purpose="y").loads("1") == 1
