"""The one kind of exception a domain refuses with; doors translate it into a problem document or a form error."""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _


class DomainError(Exception):
    """A request the programme's rules refuse, with a stable code, an HTTP status, a sentence and the facts behind it.

    Subclasses live beside the action that raises them. `message` is a lazy text whose %-format fields `facts` fill.
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
        return text % self.facts if self.facts else text
