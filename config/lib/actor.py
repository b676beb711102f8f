"""Who did it, as one word on every row that says who and why: `staff:alice`, `client:till`, `member:100000017`."""

from typing import Any, NewType

Actor = NewType("Actor", str)


def staff(user: Any) -> Actor:
    """Name a person of the back office by the login name."""
    return Actor(f"staff:{user.get_username()}")


def client(client: Any) -> Actor:
    """Name a client system by its code, the source of what it writes."""
    return Actor(f"client:{client.code}")


def member(number: str) -> Actor:
    """Name a member by the card number."""
    return Actor(f"member:{number}")


def system(job: str) -> Actor:
    """Name a job of the programme itself, such as the nightly close."""
    return Actor(f"system:{job}")
