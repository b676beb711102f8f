"""Every address: health for machines, the API for client systems, the admin for staff, the portal for members."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.static import serve

from config import health

# Below /api/ these answer with problem documents, elsewhere with Django's pages.
handler400 = "config.api_errors.bad_request"
handler403 = "config.api_errors.permission_denied"
handler404 = "config.api_errors.page_not_found"
handler500 = "config.api_errors.server_error"


def show_picture(request: HttpRequest, path: str) -> HttpResponseBase:
    """Serve a picture of a reward, put there by staff; a web server in front may answer for the folder itself."""
    return serve(request, path, document_root=str(settings.MEDIA_ROOT))


urlpatterns: list[URLPattern | URLResolver] = [
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
    path("metrics", health.show_metrics, name="metrics"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include("config.api")),
    path("admin/", admin.site.urls),
    path("", include("rewards.urls")),
    re_path(r"^media/(?P<path>.+)$", show_picture, name="media"),
]
