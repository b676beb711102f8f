"""A sealed field for tables that a member owns: the value is closed with the owner's data key."""

from typing import Any

from django.db import models

from config.lib import crypto
from members import keys
from members.fields import PersonalDataForgotten, Sealed, SealedTextField


class OwnerSealedTextField(SealedTextField):
    """A text that only the owner's data key opens; erasing the member forgets it, without touching the row."""

    def open(self, instance: models.Model, sealed: Sealed) -> str:
        return self.decode(crypto.unseal(_owner_key(instance), sealed, self._context(instance)))

    def seal(self, instance: models.Model, value: Any) -> Sealed | None:
        if value is None or value == "":
            return None
        return Sealed(crypto.seal(_owner_key(instance), self.encode(value), self._context(instance)))


def _owner_key(instance: Any) -> bytes:
    if instance.pk is None:
        raise ValueError("personal data is bound to its row: give the row its id before saving, as redeeming does")
    member = instance.member
    if member.data_key is None:
        raise PersonalDataForgotten(f"{member._meta.db_table} {member.pk} was forgotten")
    return keys.unwrap(bytes(member.data_key), member._meta.db_table, member.pk)
