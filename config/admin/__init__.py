"""The back office: one site, its navigation and its dashboard; each app brings its own screens."""

from django.contrib import admin

site = admin.site

__all__ = ["site"]
