"""Which member texts the programme keeps in every language."""

from modeltranslation.translator import TranslationOptions, register

from members.models import Tier


@register(Tier)
class TierTranslation(TranslationOptions):
    """The tier's name, in English and 中文."""

    fields = ("name",)
