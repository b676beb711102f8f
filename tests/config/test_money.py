import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.lib import money


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("196.00", "CNY", 19600),
        ("196", "CNY", 19600),
        ("0.01", "CNY", 1),
        ("-5.50", "EUR", -550),
        ("1000", "JPY", 1000),
        ("1.234", "KWD", 1234),
        ("1e2", "CNY", 10000),
        ("5.500", "CNY", 550),
    ],
)
def test_an_amount_becomes_minor_units_of_its_currency(amount: str, currency: str, minor: int) -> None:
    assert money.to_minor(amount, currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(19600, "CNY", "196.00"), (1, "CNY", "0.01"), (-550, "EUR", "-5.50"), (1000, "JPY", "1000"), (0, "KWD", "0.000")],
)
def test_minor_units_are_shown_with_the_decimals_of_the_currency(minor: int, currency: str, shown: str) -> None:
    assert money.to_decimal_string(minor, currency) == shown


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "CNY"), ("1.5", "JPY"), ("1.2345", "KWD")])
def test_more_decimals_than_the_currency_has_are_refused_not_rounded(amount: str, currency: str) -> None:
    with pytest.raises(money.TooManyDecimals, match=currency):
        money.to_minor(amount, currency)


@pytest.mark.parametrize("amount", ["", "abc", "1,5", "NaN", "Infinity", "-Infinity", 1.5, True, None, [], "１２ 3"])
def test_what_is_not_an_amount_is_refused(amount: object) -> None:
    with pytest.raises(money.InvalidMoney):
        money.to_minor(amount, "CNY")  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", ["1e16", "1e999999", "99999999999999999"])
def test_an_absurd_amount_is_refused_at_once(amount: str) -> None:
    with pytest.raises(money.AmountTooLarge):
        money.to_minor(amount, "CNY")


@pytest.mark.parametrize("currency", ["", "cny", "CN", "CNYX", "元", "C1Y"])
def test_what_is_not_a_currency_code_is_refused(currency: str) -> None:
    with pytest.raises(money.UnknownCurrency):
        money.to_minor("1", currency)


@given(st.integers(-(10**15), 10**15), st.sampled_from(["CNY", "JPY", "KWD", "CLF"]))
def test_minor_units_come_back_the_same(minor: int, currency: str) -> None:
    assert money.to_minor(money.to_decimal_string(minor, currency), currency) == minor
