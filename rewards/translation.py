"""Texts of the catalogue that are kept in each language."""

from modeltranslation.translator import TranslationOptions, register

from .models import Reward, RewardVariant


@register(Reward)
class RewardTranslation(TranslationOptions):
    """What the reward is called and what it is, in English and 中文."""

    fields = ("name", "description")


@register(RewardVariant)
class RewardVariantTranslation(TranslationOptions):
    """What the size or colour is called, in English and 中文."""

    fields = ("name",)
