"""The one kind of exception a domain refuses with; doors translate it into a problem document or a form error."""

from typing import Any, ClassVar

from django.db.models import Choices
from django.utils.translation import gettext_lazy as _


class DomainError(Exception):
    """A request the programme's rules refuse, with a stable code, an HTTP status, a sentence and the facts behind it.

    Subclasses live beside the action that raises them. `message` is a lazy text whose %-format fields `facts` fill. A
    choice among the facts is its label in the sentence and its stable value to a client.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 422
    message: Any = _("The programme does not allow this.")

    def __init__(self, message: Any = None, **facts: Any) -> None:
        self.facts: dict[str, Any] = facts
        if message is not None:
            self.message = message
        super().__init__(self.code, facts)

    def __str__(self) -> str:
        text = str(self.message)
        said = {name: fact.label if isinstance(fact, Choices) else fact for name, fact in self.facts.items()}
        return text % said if said else text
