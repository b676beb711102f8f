"""The committed style sheet is what its source and the templates make."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
SOURCE, BUILT = "templates/portal/portal.tailwind.css", "static/css/portal.css"
LARGEST_BYTES = 60_000


def find_tailwind() -> str | None:
    beside = Path(sys.executable).parent / "tailwindcss"
    return str(beside) if beside.exists() else shutil.which("tailwindcss")


def test_the_style_sheet_is_built_from_its_source(tmp_path: Path) -> None:
    tailwind = find_tailwind()
    if tailwind is None:
        pytest.skip("no tailwindcss here: it comes with the development requirements")

    built = tmp_path / "portal.css"
    subprocess.run([tailwind, "-i", SOURCE, "-o", str(built), "--minify"], cwd=ROOT, check=True, capture_output=True)

    command = f".venv/bin/tailwindcss -i {SOURCE} -o {BUILT} --minify"
    assert built.read_bytes() == (ROOT / BUILT).read_bytes(), f"build it again: {command}"


def test_the_style_sheet_is_small_and_brings_nothing_from_elsewhere() -> None:
    css = (ROOT / BUILT).read_text(encoding="utf-8")

    assert len(css) < LARGEST_BYTES
    assert "http://" not in css.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in css.replace("https://tailwindcss.com", "")


def test_admin_and_portal_share_their_green() -> None:
    source = (ROOT / SOURCE).read_text(encoding="utf-8")

    for shade, colour in settings.UNFOLD["COLORS"]["primary"].items():
        assert f"--color-primary-{shade}: {colour};" in source
