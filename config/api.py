"""The API's addresses below /api/v1/, its description and its documentation."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.cache import cache_control
from django.views.decorators.vary import vary_on_cookie
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import api_schema  # noqa: F401  teaches the description about keys and problem documents

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("members.api.urls")),
    path("", include("points.api.urls")),
    path("", include("rewards.api.urls")),
    path(
        "schema/",
        vary_on_cookie(
            cache_control(max_age=300)(
                SpectacularAPIView.as_view(renderer_classes=[OpenApiJsonRenderer, OpenApiYamlRenderer])
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
