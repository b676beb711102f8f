"""What can be wrong with a row of a file, or with the whole file; each says it in one sentence."""

from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError


class FileUnusable(DomainError):
    """Nothing of the file can be read."""

    code = "file_unusable"


class FileMissing(FileUnusable):
    code = "file_missing"
    message = _("%(path)s cannot be opened: %(reason)s.")


class ReportIsTheFile(FileUnusable):
    code = "report_is_the_file"
    message = _("report: this is the file that is imported. Name another place for the rejected rows.")


class ReportPlaceTaken(FileUnusable):
    code = "report_place_taken"
    message = _("report: %(path)s is there already and is no report of an import. Name another place with --report.")


class FileEmpty(FileUnusable):
    code = "file_empty"
    message = _("The file is empty: the first row must name the columns %(columns)s.")


class FormatUnknown(FileUnusable):
    code = "format_unknown"
    message = _("The file is %(found)s, not CSV or Parquet. Save the sheet as “CSV UTF-8” and import that.")


class ParquetBroken(FileUnusable):
    code = "parquet_broken"
    message = _("The file cannot be read as Parquet: %(reason)s")


class EncodingUnknown(FileUnusable):
    code = "encoding_unknown"
    message = _("There is no text encoding called %(encoding)s; try utf-8, utf-16 or gb18030, or leave it to auto.")


class EncodingWrong(FileUnusable):
    code = "encoding_wrong"
    message = _("The file cannot be read as %(encoding)s; leave the encoding to auto.")


class ColumnsMissing(FileUnusable):
    code = "columns_missing"
    message = _("The columns %(missing)s are missing. A column may be empty, but the first row must name it.")


class ColumnsRepeated(FileUnusable):
    code = "columns_repeated"
    message = _("The columns %(repeated)s are named twice.")


class ColumnCountWrong(DomainError):
    code = "wrong_column_count"
    message = _("The row has %(found)s fields where the first row names %(expected)s columns.")


class QuotesBroken(DomainError):
    code = "broken_quotes"
    message = _(
        "A quotation mark is not closed, or stands where none may be; inside a quoted field it is written twice."
    )


class RowTooLong(DomainError):
    code = "row_too_long"
    message = _("The row is longer than %(limit)s characters.")


class ValueMissing(DomainError):
    code = "missing"
    message = _("This is needed.")


class ValueUnreadable(DomainError):
    code = "unreadable"
    message = _("This value is broken, or beyond every date and text.")


class ValueNotSimple(DomainError):
    code = "wrong_type"
    message = _("Expected one value, not a list or a structure.")


class TextTooLong(DomainError):
    code = "too_long"
    message = _("This is longer than %(limit)s characters.")


class CharactersUnreadable(DomainError):
    code = "wrong_encoding"
    message = _("Some characters cannot be read as %(encoding)s.")


class CharactersForbidden(DomainError):
    code = "control_characters"
    message = _("This holds NUL or other control characters.")


class TypeUnknown(DomainError):
    code = "unknown_type"
    message = _("“%(value)s” is not a type of event; known are %(known)s.")


class TypeNotImported(DomainError):
    code = "type_not_imported"
    message = _("A refund is not imported: it is made from the purchase it takes back.")


class TimeUnreadable(DomainError):
    code = "invalid_time"
    message = _("“%(value)s” is not a time such as 2026-11-23T18:05:00+08:00.")


class TimeNaive(DomainError):
    code = "naive_time"
    message = _(
        "“%(value)s” does not say its offset from UTC. Write it as in 2026-11-23T18:05:00+08:00, "
        "or name the zone with --assume-zone."
    )


class TimeInFuture(DomainError):
    code = "future_time"
    message = _("“%(value)s” is in the future.")


class TimeAbsurd(DomainError):
    code = "absurd_time"
    message = _("“%(value)s” lies before 1990.")


class AmountAbsurd(DomainError):
    code = "absurd_amount"
    message = _("“%(value)s” is larger than any amount this programme takes.")


class AmountNegative(DomainError):
    code = "negative_amount"
    message = _("“%(value)s” is negative; a refund is made from the purchase it takes back.")


class AmountMissing(DomainError):
    code = "amount_missing"
    message = _("An event of this type needs its amount.")


class CurrencyMissing(DomainError):
    code = "currency_missing"
    message = _("An amount needs its currency.")


class ItemsUnreadable(DomainError):
    code = "invalid_json"
    message = _("This is not JSON: %(reason)s.")


class ItemsNotAList(DomainError):
    code = "invalid_items"
    message = _("Expected a JSON list of {sku, category, quantity, amount}.")


class ItemsTooMany(DomainError):
    code = "too_many_items"
    message = _("There are more than %(limit)s line items.")


class QuantityInvalid(DomainError):
    code = "invalid_quantity"
    message = _("“%(value)s” is not a whole number from 0 to %(limit)s.")


class ReferenceRepeated(DomainError):
    code = "duplicate_reference"
    message = _("This reference stands in row %(first)s already.")


class MemberUnknown(DomainError):
    code = "unknown_member"
    message = _("There is no such member.")


class RowRejected(DomainError):
    """What the programme answered to a row that was well-formed."""

    code = "rejected"
