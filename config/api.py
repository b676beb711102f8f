"""The API's addresses below /api/v1/, its description and its documentation."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.cache import cache_control
from django.views.decorators.vary import vary_on_cookie
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import api_schema  # noqa: F401  teaches the description about keys and problem documents


class DescriptionView(SpectacularAPIView):
    """The description, in a language of ours: Django keeps every other it is asked for, for as long as it runs."""

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        query = request.GET.copy()
        if query.get("lang") not in dict(settings.LANGUAGES):
            query.pop("lang", None)
        request.GET = query  # type: ignore[assignment]
        super().setup(request, *args, **kwargs)


urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("members.api.urls")),
    path("", include("points.api.urls")),
    path("", include("rewards.api.urls")),
    path(
        "schema/",
        vary_on_cookie(
            cache_control(max_age=300)(
                DescriptionView.as_view(renderer_classes=[OpenApiJsonRenderer, OpenApiYamlRenderer])
            )
        ),
        name="api-schema",
    ),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="api/docs.html"),
        name="api-docs",
    ),
]
