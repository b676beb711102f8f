"""What every test may use, and the database they run on: DATABASE_URL, else a throw-away server of our own."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.core.cache import cache

from config import embedded

_server = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the server once, in the process parallel workers come from: its address is in their environment."""
    if os.environ.get("DATABASE_URL") or config.option.collectonly or config.option.help:
        return
    stack = config.stash[_server] = ExitStack()
    os.environ["DATABASE_URL"] = stack.enter_context(embedded.throw_away()).url
    from config.settings import env

    settings.DATABASES["default"].update(env.db_url_config(os.environ["DATABASE_URL"]))
    settings.DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the server back; it stops and takes its folder with it."""
    if stack := config.stash.get(_server, None):
        stack.close()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Keep counters of one test, such as throttles, from the next."""
    cache.clear()


@pytest.fixture(autouse=True, scope="session")
def _data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Write pictures, mail and reports where they are forgotten."""
    folder = tmp_path_factory.mktemp("var")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DATA_FOLDER", folder)
        patch.setattr(settings, "MEDIA_ROOT", str(folder / "media"))
        yield
