"""The door of the benchmark's web server: the product as it is, with one address more."""

from django.conf import settings

settings.ROOT_URLCONF = "config.benchmarks.urls"

from config.wsgi import application  # noqa: E402  Django reads the setting when it starts

__all__ = ["application"]
