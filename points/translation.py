"""Texts of the programme that are kept in each language."""

from modeltranslation.translator import TranslationOptions, register

from .models import EarningRule, PointType, ReferralProgramme


@register(PointType)
class PointTypeTranslation(TranslationOptions):
    fields = ("name",)


@register(EarningRule)
class EarningRuleTranslation(TranslationOptions):
    fields = ("name", "description")


@register(ReferralProgramme)
class ReferralProgrammeTranslation(TranslationOptions):
    fields = ("name",)
