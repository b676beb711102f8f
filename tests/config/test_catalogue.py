"""The Chinese catalogue: complete, in the field's terms, punctuated as Chinese is, and compiled from what it says.

Whoever adds or changes a text runs `manage.py makemessages` and writes its Chinese; these tests tell what is missing.
"""

import gettext
import re
import shutil
import struct
from ast import literal_eval
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models import Model
from django.utils import translation
from modeltranslation.translator import translator

from config import seed

BASE_DIR = Path(settings.BASE_DIR)
FOLDER = Path("zh_Hans", "LC_MESSAGES")
CATALOGUE = BASE_DIR / "config" / "locale" / FOLDER / "django.po"
needs_gettext = pytest.mark.skipif(not shutil.which("xgettext"), reason="GNU gettext is not installed on this machine")

#: The field's terms (English of a whole text, in lower case) and the Chinese that may stand for them.
GLOSSARY = {
    "adjustment": {"人工调整"},
    "available": {"可用"},
    "base points": {"基础积分"},
    "clawed back": {"追回"},
    "coupon": {"优惠券"},
    "coupons": {"优惠券"},
    "cost per point": {"单位积分成本"},
    "earning rule": {"积分规则"},
    "earning rules": {"积分规则"},
    "entries": {"积分分录"},
    "entry": {"积分分录"},
    "event": {"业务流水"},
    "events": {"业务流水"},
    "expired": {"已过期", "过期"},
    "held": {"预扣"},
    "liability": {"积分负债"},
    "lot": {"积分批次", "批次"},
    "lots": {"积分批次"},
    "member": {"会员"},
    "members": {"会员"},
    "pending": {"待生效"},
    "points": {"积分"},
    "reinstated": {"恢复"},
    "reference": {"业务流水号"},
    "redemption": {"积分兑换", "兑换订单"},
    "referral code": {"推荐码"},
    "referred by": {"推荐人"},
    "segments": {"人群分组"},
    "tier": {"会员等级"},
    "tiers": {"会员等级"},
    "trial balance": {"试算平衡"},
    "void": {"撤销", "已作废"},
    "write off": {"核销"},
    "write-off code": {"核销码"},
}

_PLACEHOLDER = re.compile(r"%\([a-z_]+\)[sd]|%%|%[sd]|\{[a-z_0-9]*\}|</?[a-z]+[^>]*>")
_FIELD_FIRST = re.compile(r"(?:[a-z_-]+|%\(field\)s): ")
_LATIN_COMMA = re.compile(
    r"[\u4e00-\u9fff][,;:?!.](?!\w)|[,;?!](?=[\u4e00-\u9fff])|[\u4e00-\u9fff]\(|\)[\u4e00-\u9fff]"
)


@dataclass
class Message:
    """One text of a catalogue and its translations, one for each plural form."""

    context: str = ""
    text: str = ""
    plural: str = ""
    translations: dict[int, str] = field(default_factory=dict)
    is_fuzzy: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the others."""
        return self.context, self.text, self.plural

    @property
    def chinese(self) -> str:
        """The translation; Chinese has one form for any number."""
        return self.translations.get(0, "")


def read_catalogue(path: Path) -> Iterator[Message]:
    """Read what GNU gettext writes, without the header."""
    _header, *entries = path.read_text("utf-8").strip().split("\n\n")
    for entry in entries:
        message = Message()
        said: dict[str, str] = {}
        keyword = ""
        for line in entry.splitlines():
            if line.startswith("#"):
                message.is_fuzzy |= line.startswith("#,") and "fuzzy" in line
                continue
            if not line.startswith('"'):
                keyword, line = line.split(" ", 1)
            said[keyword] = said.get(keyword, "") + literal_eval(line)
        message.context, message.text = said.pop("msgctxt", ""), said.pop("msgid")
        message.plural = said.pop("msgid_plural", "")
        message.translations = {int(re.sub(r"\D", "", form) or 0): text for form, text in said.items()}
        yield message


def extract(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Collect the texts of a folder into a catalogue of its own."""
    (folder / "config" / "locale").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(settings, "LOCALE_PATHS", [folder / "config" / "locale"])
    call_command("makemessages", verbosity=0)
    return list(read_catalogue(folder / "config" / "locale" / FOLDER / "django.po"))


def copy(folder: Path, to: Path, *ignored: str) -> None:
    """Copy the sources and templates of a folder."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("locale", "static", "__pycache__", "sql", *ignored))


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    """The catalogue as it is kept."""
    return list(read_catalogue(CATALOGUE))


@needs_gettext
def test_every_text_of_the_sources_is_in_the_catalogue_and_no_other(
    messages: list[Message], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("config", "members", "points", "rewards", "templates"):
        copy(BASE_DIR / room, tmp_path / room)

    found = {message.key for message in extract(tmp_path, monkeypatch)}

    kept = {message.key for message in messages}
    assert found - kept == set(), "run `manage.py makemessages` and write their Chinese"
    assert kept - found == set(), "run `manage.py makemessages`: no source has these any more"


@needs_gettext
def test_what_the_admin_s_theme_shows_has_chinese_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("unfold")
    assert spec is not None
    assert spec.origin is not None
    not_installed = {"constance", "crispy", "guardian", "hijack", "location_field", "waffle", "unfold_crispy"}
    not_installed |= {"reversion", "reversion_compare", "simple_history"}
    copy(Path(spec.origin).parent, tmp_path / "unfold", *not_installed, "toolbar.html")  # of the text editor
    for_developers = {"Field <strong", "%(class_name)s %(instance)s"}

    texts = extract(tmp_path, monkeypatch)

    with translation.override("zh-hans"):
        missing = [
            message.text
            for message in texts
            if not any(message.text.startswith(beginning) for beginning in for_developers)
            and translation.gettext(message.text) == message.text
            and translation.ngettext(message.text, message.plural, 2) in (message.text, message.plural)
        ]
    assert missing == [], "name them in config/third_party_strings.py"


def test_nothing_is_left_untranslated_or_guessed(messages: list[Message]) -> None:
    assert [message.text for message in messages if not message.chinese.strip()] == []
    assert [message.text for message in messages if message.is_fuzzy] == []
    assert [message.text for message in messages if len(message.translations) != 1] == []


def test_no_text_stands_twice(messages: list[Message]) -> None:
    assert [key for key, times in Counter(message.key[:2] for message in messages).items() if times > 1] == []


def test_both_languages_fill_in_the_same(messages: list[Message]) -> None:
    wrong = [
        message.text
        for message in messages
        if sorted(_PLACEHOLDER.findall(message.plural or message.text))
        != sorted(_PLACEHOLDER.findall(message.chinese))
    ]

    assert wrong == []


def test_a_refusal_begins_with_its_field_in_both_languages(messages: list[Message]) -> None:
    """Forms and the API take the field from the head of the sentence."""
    wrong = [
        message.text
        for message in messages
        if (head := _FIELD_FIRST.match(message.text))
        and head.group() not in {"coupon: ", "expiry: "}  # labels
        and not message.chinese.startswith(head.group())
    ]

    assert wrong == []


def test_edges_are_the_same_in_both_languages(messages: list[Message]) -> None:
    """A line break at the beginning or the end belongs to the page around it."""
    wrong = [
        message.text
        for message in messages
        if (message.text.startswith("\n"), message.text.endswith("\n"))
        != (message.chinese.startswith("\n"), message.chinese.endswith("\n"))
    ]

    assert wrong == []


def test_the_terms_are_those_of_the_field(messages: list[Message]) -> None:
    known = {message.text.lower(): message for message in messages}
    wrong = [
        (message.text, message.chinese)
        for message in messages
        if message.context != "action" and message.chinese not in GLOSSARY.get(message.text.lower(), {message.chinese})
    ]

    assert wrong == []
    assert set(GLOSSARY) - set(known) == set(), "a term nobody uses any more"


def test_chinese_is_punctuated_as_chinese(messages: list[Message]) -> None:
    wrong = [
        message.chinese
        for message in messages
        if _LATIN_COMMA.search(_PLACEHOLDER.sub("", message.chinese)) or "..." in message.chinese
        if message.text != "applies,does not apply"  # two words for the filter `yesno`
    ]

    assert wrong == []


def test_a_member_is_addressed_politely(messages: list[Message]) -> None:
    assert [message.chinese for message in messages if "你" in message.chinese] == []


def test_the_compiled_catalogue_says_what_the_text_says(messages: list[Message]) -> None:
    compiled = CATALOGUE.with_suffix(".mo")
    with compiled.open("rb") as stream:
        catalogue = gettext.GNUTranslations(stream)
    (count,) = struct.unpack_from("<I", compiled.read_bytes(), 8)

    wrong = [message.text for message in messages if _say(catalogue, message) != message.chinese]

    assert wrong == [], "run `manage.py makemessages`"
    assert count == len(messages) + 1  # the header


def _say(catalogue: gettext.GNUTranslations, message: Message) -> str:
    """Return what a compiled catalogue says for a text."""
    context, text, plural = message.key
    if plural:
        return catalogue.npgettext(context, text, plural, 2) if context else catalogue.ngettext(text, plural, 2)
    return catalogue.pgettext(context, text) if context else catalogue.gettext(text)


@pytest.mark.django_db
def test_what_the_programme_begins_with_has_both_languages() -> None:
    seed.seed_programme()

    missing = [
        (type(row).__name__, row.pk, name)
        for model in translator.get_registered_models(abstract=False)
        for row in _rows(model)
        for name in translator.get_options_for_model(model).all_fields
        if bool(getattr(row, f"{name}_en")) != bool(getattr(row, f"{name}_zh_hans"))
    ]

    assert missing == []
    assert sum(len(_rows(model)) for model in translator.get_registered_models(abstract=False)) > 0


def _rows(model: type[Model]) -> list[Model]:
    return list(model._default_manager.all())
