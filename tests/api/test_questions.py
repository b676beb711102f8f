"""How often the busiest calls ask the database, once a process knows the key, the rules and the point types."""

from pytest_django import DjangoAssertNumQueries

from members.models import Member
from tests.api.conftest import Caller, purchase


def test_an_event_is_one_question_to_the_database_and_so_are_a_hundred(
    till: Caller, rich: Member, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        one = till.post("events/", purchase(rich, "one"))
    with django_assert_num_queries(1):
        many = till.post("events/", [purchase(rich, f"of-many-{n}") for n in range(100)])

    assert (one.status, many.status) == (201, 200)
    assert {row["status"] for row in many.body} == {"accepted"}


def test_an_event_sent_again_is_two(
    till: Caller, rich: Member, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    till.post("events/", purchase(rich, "one"))

    with django_assert_num_queries(2):
        again = till.post("events/", purchase(rich, "one"))

    assert again.status == 200


def test_a_balance_is_three_the_member_the_sums_and_the_names(
    till: Caller, rich: Member, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(3):
        answer = till.get(f"members/{rich.number}/balance/")

    assert answer.body[0]["available"] == 1_000
