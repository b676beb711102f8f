"""Model fields whose column holds ciphertext and whose attribute is the plain value, sealed under the row's key."""

import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils.dateparse import parse_date

from config.lib import crypto
from members import keys

if TYPE_CHECKING:
    _TextBase = models.Field[str, str]
    _DateBase = models.Field[datetime.date | str | None, datetime.date | None]
else:
    _TextBase = _DateBase = models.BinaryField


class PersonalDataForgotten(Exception):
    """The member's data key was erased: personal data can be neither read nor written any more."""


class Sealed(bytes):
    """Ciphertext as the database gave it, told apart from a plain value somebody assigned."""


class SealedAttribute(DeferredAttribute):
    """Opens the value when it is read; what is only loaded and saved again is never decrypted."""

    field: Any

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        return self.field.open(instance, value) if isinstance(value, Sealed) else self.field.plain(value)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class SealedMixin:
    """What the sealed fields share: seal on save, open on read, refuse to be searched."""

    descriptor_class = SealedAttribute
    attname: str
    column: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"editable": True, "null": True, "blank": True} | kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()  # type: ignore[misc]
        implied = ("null", "blank", "editable")
        return name, path, args, {key: value for key, value in kwargs.items() if key not in implied}

    def plain(self, value: Any) -> Any:
        return value

    def encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def decode(self, value: bytes) -> Any:
        raise NotImplementedError

    def open(self, instance: models.Model, sealed: Sealed) -> Any:
        """Decrypt one value of one row; raises rather than return ciphertext."""
        data_key = _data_key(instance)
        return self.decode(crypto.unseal(data_key, sealed, self._context(instance)))

    def seal(self, instance: models.Model, value: Any) -> Sealed | None:
        """Encrypt one value for one row; nothing stays nothing."""
        if value is None or value == "":
            return None
        return Sealed(crypto.seal(_data_key(instance), self.encode(value), self._context(instance)))

    def _context(self, instance: models.Model) -> str:
        return keys.context(instance._meta.db_table, self.column, instance.pk)

    def pre_save(self, instance: models.Model, add: bool) -> Sealed | None:
        value = instance.__dict__.get(self.attname)
        return value if isinstance(value, Sealed) else self.seal(instance, value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(bytes(value))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is not None and not isinstance(value, Sealed):
            # A plain value here came by QuerySet.update() or bulk_update(), which know no row to seal it for.
            raise TypeError(f"{self.attname} is sealed: save the row, or update it by an action")
        return value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.attname} is sealed and cannot be searched; use by_phone() or by_email()")
        return super().get_lookup(lookup_name)  # type: ignore[misc]


class SealedTextField(SealedMixin, _TextBase):  # type: ignore[misc]
    """A text only the holder of the keys can read; absent is the empty text."""

    _pyi_private_set_type: str
    _pyi_private_get_type: str
    _pyi_lookup_exact_type: str

    def plain(self, value: Any) -> str:
        return value or ""

    def encode(self, value: Any) -> bytes:
        return str(value).encode()

    def decode(self, value: bytes) -> str:
        return value.decode()

    def to_python(self, value: Any) -> Any:
        return value

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.CharField, "max_length": self.max_length} | kwargs)


class SealedDateField(SealedMixin, _DateBase):  # type: ignore[misc]
    """A date only the holder of the keys can read."""

    _pyi_private_set_type: datetime.date | str | None
    _pyi_private_get_type: datetime.date | None
    _pyi_lookup_exact_type: datetime.date

    def plain(self, value: Any) -> Any:
        return value or None

    def encode(self, value: Any) -> bytes:
        return str(value.isoformat() if isinstance(value, datetime.date) else value).encode()

    def decode(self, value: bytes) -> datetime.date:
        return datetime.date.fromisoformat(value.decode())

    def to_python(self, value: Any) -> Any:
        return parse_date(value) if isinstance(value, str) else value

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.DateField} | kwargs)


def _data_key(instance: Any) -> bytes:
    if instance.pk is None:
        raise ValueError("personal data is bound to its row: give the row its id before saving, as enrolling does")
    if instance.data_key is None:
        raise PersonalDataForgotten(f"{instance._meta.db_table} {instance.pk} was forgotten")
    return keys.unwrap(bytes(instance.data_key), instance._meta.db_table, instance.pk)
