"""The product's addresses, and beside them the view that does nothing."""

from django.urls import URLPattern, URLResolver, path

from config.benchmarks.no_op import NoOpView
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as product

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [path("no-op/", NoOpView.as_view()), *product]
