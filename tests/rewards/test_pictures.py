"""A picture is what its content says, small enough, and kept under a name of our own."""

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from rewards.models import Reward
from rewards.pictures import MOST_BYTES

from .factories import RewardFactory

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 32
JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 32
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\x00" * 32


def judged(name: str, content: bytes) -> Reward:
    reward = RewardFactory.build(picture=SimpleUploadedFile(name, content))
    reward.full_clean()
    reward.save()
    return reward


@pytest.mark.parametrize(
    ("name", "content", "ending"),
    [("mug.png", PNG, ".png"), ("mug.JPG", JPEG, ".jpg"), ("mug.jpg", WEBP, ".webp"), ("杯子.png", PNG, ".png")],
)
def test_it_is_kept_under_our_own_name_with_the_ending_of_its_content(name: str, content: bytes, ending: str) -> None:
    reward = judged(name, content)

    assert str(reward.picture.name).startswith("rewards/")
    assert str(reward.picture.name).endswith(ending)
    assert "mug" not in str(reward.picture.name)
    with reward.picture.open() as kept:
        assert kept.read() == content


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("mug.png", b"<html><script>alert(1)</script></html>", "picture_unreadable"),
        ("mug.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_unreadable"),
        ("mug.png", b"GIF89a" + b"\x00" * 32, "picture_unreadable"),
        ("mug.jpg", b"", "picture_unreadable"),
        ("mug.jpg", JPEG + b"\x00" * MOST_BYTES, "picture_too_large"),
        ("mug.svg", PNG, "invalid_extension"),
        ("mug.html", PNG, "invalid_extension"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(name: str, content: bytes, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        judged(name, content)

    assert code in {error.code for error in refused.value.error_dict["picture"]}
    assert not Reward.objects.exists()


def test_a_browser_is_told_what_it_is_and_not_to_guess(client: Client) -> None:
    reward = judged("mug.jpg", PNG)

    served = client.get(reward.picture.url)

    assert served.headers["Content-Type"] == "image/png"
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in served.headers["Content-Security-Policy"]
