"""Several connections that really commit: exactly one wins, and nobody sees an error page."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from config.lib.errors import DomainError
from members.actions import enrolling, updating
from members.actions.enrolling import Enrolled, Person
from members.models import Member, MemberKey

from .factories import AT, TESTER, MemberFactory, base_tier

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 6


def at_once[T](work: Callable[[int], T]) -> list[T | DomainError]:
    """Run the work in several threads that start together; refusals come back as values."""
    start = Barrier(AT_ONCE)

    def run(n: int) -> T | DomainError:
        try:
            start.wait(10)
            return work(n)
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


def test_one_phone_goes_to_exactly_one_of_many() -> None:
    base_tier()

    results = at_once(
        lambda n: enrolling.enrol(reference=f"r-{n}", source="shop", phone="13800138000", actor=TESTER, at=AT)
    )

    won = [result for result in results if isinstance(result, Enrolled)]
    assert len(won) == 1
    assert [result.code for result in results if isinstance(result, DomainError)] == ["phone_taken"] * (AT_ONCE - 1)
    assert Member.objects.get() == won[0].member
    assert set(MemberKey.objects.values_list("member_id", flat=True)) == {won[0].member.pk}


def test_one_reference_makes_exactly_one_member() -> None:
    base_tier()

    results = at_once(
        lambda _n: enrolling.enrol(reference="r-1", source="shop", phone="13800138000", actor=TESTER, at=AT)
    )

    assert all(isinstance(result, Enrolled) for result in results), results
    assert sorted(result.replayed for result in results if isinstance(result, Enrolled)) == [False] + [True] * 5
    assert Member.objects.count() == 1


def test_the_same_people_imported_twice_at_once_are_taken_in_once() -> None:
    base_tier()
    people = [Person(external=f"H-{n}", phone=f"138{n:08}") for n in range(200)]

    results = at_once(
        lambda n: enrolling.enrol_many(source="import", people=people[:: -1 if n % 2 else 1], actor=TESTER, at=AT)
    )

    numbers = [result.numbers for result in results if isinstance(result, enrolling.EnrolledMany)]
    assert len(numbers) == AT_ONCE
    assert all(each == numbers[0] for each in numbers)
    assert Member.objects.count() == len(numbers[0]) == 200
    assert sum(result.created for result in results if isinstance(result, enrolling.EnrolledMany)) == 200
    assert not any(result.refused for result in results if isinstance(result, enrolling.EnrolledMany))


def test_two_members_cannot_move_to_one_phone_at_once() -> None:
    members = [MemberFactory.create() for _ in range(AT_ONCE)]

    results = at_once(
        lambda n: updating.update_profile(member=members[n], changes={"phone": "13800138000"}, actor=TESTER, at=AT)
    )

    assert sum(isinstance(result, Member) for result in results) == 1
    assert MemberKey.objects.filter(kind="phone").count() == 1
