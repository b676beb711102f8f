"""Texts of the catalogue that are kept in each language."""

from modeltranslation.translator import TranslationOptions, register

from .models import Reward, RewardCategory, RewardVariant


@register(Reward)
class RewardTranslation(TranslationOptions):
    """What the reward is called and what it is, in English and 中文."""

    fields = ("name", "description")


@register(RewardCategory)
class RewardCategoryTranslation(TranslationOptions):
    """What the shelf is called, in English and 中文."""

    fields = ("name",)


@register(RewardVariant)
class RewardVariantTranslation(TranslationOptions):
    """What the size or colour is called, in English and 中文."""

    fields = ("name",)
