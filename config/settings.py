"""All settings in one file, driven by the environment; README.md lists the variables an operator sets."""

import base64
import logging
import os
import secrets
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
import structlog
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from config import embedded, folders, logs


class _Environment(environ.Env):  # type: ignore[misc]
    """The environment; what cannot be read is said with the name of its variable."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError:
            raise ImproperlyConfigured(f"{var}: “{os.environ.get(var)}” is not a number.") from None


env = _Environment()

BASE_DIR = folders.BASE_DIR
DATA_FOLDER = folders.data_folder()
TESTING = "pytest" in sys.modules
DEBUG = env.bool("DEBUG", default=False)

# Secrets: from the environment. A machine of one's own keeps those it makes in the data folder, mode 0600;
# `check --deploy` refuses that for production, where several machines must agree on them.


def _secret(variable: str, test_value: str, prefix: str = "", octets: int = 32) -> str:
    """Return a secret from the environment, else the fixed one of the tests, else the one kept in the data folder."""
    if value := os.environ.get(variable):
        return value
    if TESTING:
        return test_value
    name = variable.lower().removeprefix("laurel_")
    try:
        return folders.keep_secret(name, lambda: prefix + base64.b64encode(secrets.token_bytes(octets)).decode())
    except OSError as error:
        raise ImproperlyConfigured(
            f"LAUREL_VAR: the data folder {DATA_FOLDER} cannot be used: {error.strerror}. Name one that belongs to "
            f"this user, or set {variable} and the other secrets."
        ) from None


SECRET_KEY = _secret("SECRET_KEY", "only-for-tests", octets=48)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# "id:base64,id:base64": AES-256 keys of personal data, the first is current, the others still open what they closed.
LAUREL_PII_KEYS = _secret("LAUREL_PII_KEYS", "test:dGVzdC1rZXktb2YtMzItYnl0ZXMtb25seS10ZXN0cyE=", prefix="k1:")
# base64: the HMAC key of the blind indexes; changing it means indexing every member anew.
LAUREL_PII_INDEX_KEY = _secret("LAUREL_PII_INDEX_KEY", "dGVzdC1pbmRleC1rZXktb2YtMzItYnl0ZXMtLXRlc3Q=")

# The programme.
LAUREL_CURRENCY = env.str("LAUREL_CURRENCY", default="CNY")
TIME_ZONE = env.str("LAUREL_TIME_ZONE", default="Asia/Shanghai")
try:
    ZoneInfo(TIME_ZONE)
except (ZoneInfoNotFoundError, ValueError, OSError):
    raise ImproperlyConfigured(f"LAUREL_TIME_ZONE: there is no time zone “{TIME_ZONE}”.") from None
USE_TZ = True
# The nightly close begins at this hour of UTC; the day it closes is the programme's (18:00 UTC is 02:00 in Shanghai).
LAUREL_CLOSE_HOUR_UTC = env.int("LAUREL_CLOSE_HOUR_UTC", default=18)
if not 0 <= LAUREL_CLOSE_HOUR_UTC <= 23:
    raise ImproperlyConfigured("LAUREL_CLOSE_HOUR_UTC: an hour from 0 to 23 is needed.")
# The most points that one person adjusts at once, whoever it is.
LAUREL_ADJUSTMENT_LIMIT = env.int("LAUREL_ADJUSTMENT_LIMIT", default=10_000)
# How many wrong coupon codes one client system, or one member, may bring in how many minutes.
LAUREL_COUPON_MISSES = env.int("LAUREL_COUPON_MISSES", default=60)
LAUREL_COUPON_MISSES_MINUTES = env.int("LAUREL_COUPON_MISSES_MINUTES", default=10)
# Webhooks go to public HTTPS addresses; this lets them go to http://127.0.0.1 as well, for trying things out.
LAUREL_WEBHOOKS_LOCAL = env.bool("LAUREL_WEBHOOKS_LOCAL", default=DEBUG)
# Messages that were delivered or given up are forgotten after so many days.
LAUREL_WEBHOOK_DAYS = env.int("LAUREL_WEBHOOK_DAYS", default=30)

# Where the portal is reached.
LAUREL_URL = env.str("LAUREL_URL", default="http://127.0.0.1:8000")
HTTPS = env.bool("LAUREL_HTTPS", default=not DEBUG and not TESTING)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# /metrics answers this bearer token, and without one only the machine itself.
LAUREL_METRICS_TOKEN = env.str("LAUREL_METRICS_TOKEN", default="")

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "members.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "modeltranslation",  # before the admin, whose classes it extends
    "unfold.apps.BasicAppConfig",  # the site itself is config.admin.back_office.BackOffice
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.import_export",
    "config.apps.ConfigConfig",  # before django.contrib, so that its commands and templates win
    "rewards",
    "points",
    "members",
    "config.apps.BackOfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "import_export",
    "django_htmx",
    "axes",
    "pgtrigger",
    "pghistory",
    "django_structlog",
]
# Tools of the development level, which a running installation does without.
INSTALLED_APPS += [tool for tool in ("django_linear_migrations", "django_migration_linter") if find_spec(tool)]
MIGRATION_LINTER_OPTIONS = {
    "include_apps": ["config", "members", "points", "rewards"],
    "sql_analyser": "postgresql",
    "no_cache": True,
    # The first moves keys out of a table of a few rows while a deployment stands still for its migrations; the second
    # makes the codes of coupons longer: a varchar that is widened is not rewritten, and old code can read it; the
    # third makes a constraint of an index that was built concurrently.
    "ignore_name": ["0002_client_keys", "0002_coupons", "0005_once"],
}

MIDDLEWARE = [
    "config.metrics.count_requests",
    "config.waking.wake_webhooks",
    "config.logs.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "config.wrong_method.show_page",
    "axes.middleware.AxesMiddleware",  # last, it answers for a log-in that was locked out
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database: DATABASE_URL, else the embedded server, which manage.py starts and whose address lies in the data folder.
DATABASE_URL = env.str("DATABASE_URL", default="") or embedded.known_url()


def _database(url: str) -> dict[str, Any]:
    """Return what an address says. A refusal does not repeat it, for it holds the password."""
    found: dict[str, Any] = {}
    if url.partition("://")[0] in ("postgres", "postgresql", "pgsql", "psql"):
        with suppress(ValueError):
            found = env.db_url_config(url)
    if not found.get("NAME"):
        raise ImproperlyConfigured("DATABASE_URL: expected postgres://user:password@host:port/database.")
    return found


DATABASES: dict[str, Any] = {"default": _database(DATABASE_URL)}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DATABASES["default"]["CONN_MAX_AGE"] = 0 if TESTING else env.int("DATABASE_CONN_MAX_AGE", default=60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = not TESTING
if env.int("DATABASE_POOL_SIZE", default=0):
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE"),
        "timeout": 10,
    }

# Sign-in.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first, so that it can refuse before anybody compares a password
    "members.auth.MemberBackend",  # staff by user name, members by card number, phone or e-mail
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = env.int("AXES_FAILURE_LIMIT", default=5)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "portal/locked_out.html"
AXES_USERNAME_CALLABLE = "members.auth.lockout_name"
AXES_CLIENT_IP_CALLABLE = "members.auth.client_address"
AXES_ENABLED = not TESTING
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # its screens are ours, read-only, in members/admin/access.py

# Cookies, transport and headers.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 60 * 60 * 12
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=False)
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_SUBDOMAINS", default=False)
SECURE_REFERRER_POLICY = "same-origin"
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
X_FRAME_OPTIONS = "DENY"
# The portal's policy: nothing inline without the nonce, nothing from elsewhere. config/admin.py widens the admin's.
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    name: []
    for name in ["accelerometer", "camera", "geolocation", "gyroscope", "magnetometer", "microphone", "payment", "usb"]
}
# A list of ten thousand events fits; any other call of the API reads one megabyte (members/api/base.py).
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

# Languages.
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["config.formats"]
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
USE_I18N = True
MODELTRANSLATION_DEFAULT_LANGUAGE = "en"
MODELTRANSLATION_LANGUAGES = ("en", "zh-hans")
MODELTRANSLATION_FALLBACK_LANGUAGES = ("en", "zh-hans")

# Static files: collected for a server, found in place by the tests.
STATIC_URL = "/static/"
STATIC_ROOT = DATA_FOLDER / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_FOLDER / "media"
WHITENOISE_USE_FINDERS = DEBUG or TESTING
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Mail: a file each in the data folder until a server is named.
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="laurel@localhost")
MAILERS: dict[str, dict[str, Any]]
if smtp_host := env.str("SMTP_HOST", default=""):
    MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {
                "host": smtp_host,
                "port": env.int("SMTP_PORT", default=587),
                "username": env.str("SMTP_USER", default=""),
                "password": env.str("SMTP_PASSWORD", default=""),
                "use_tls": env.bool("SMTP_TLS", default=True),
            },
        }
    }
else:
    MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "OPTIONS": {"file_path": str(DATA_FOLDER / "mail")},
        }
    }

# The API: config/api.py has the routes, config/api_auth.py the keys, config/api_errors.py the problem documents.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.api_auth.ClientKeyAuthentication",
        "config.api_auth.MemberSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.api_parsers.StrictJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "config.api_schema.ScopedSchema",
    "EXCEPTION_HANDLER": "config.api_errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Laurel",
    "DESCRIPTION": "Membership and points for client systems.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "Account": "points.models.Account",
        "EntryKind": "points.models.EntryKind",
        "EventStatus": "points.api.answers.EVENT_STATUSES",
        "HoldStatus": "points.models.HoldStatus",
        "MemberStatus": "members.models.MemberStatus",
        "CouponState": "rewards.models.CouponState",
        "RedemptionState": "rewards.models.RedemptionState",
        "RewardKind": "rewards.models.RewardKind",
        "ReservationState": "rewards.models.ReservationState",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.api_schema.complete"],
}

# The admin's look; its screens are in the apps' admin packages, what brings them together in config/admin.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Laurel",
    "SITE_HEADER": "Laurel",
    "SITE_SUBHEADER": _("Membership and points"),
    "SITE_ICON": lambda request: static("img/laurel.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/laurel.svg")},
    ],
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {  # laurel green, as in the portal (templates/portal/portal.tailwind.css)
            "50": "oklch(97.6% .014 160)",
            "100": "oklch(94.8% .032 160)",
            "200": "oklch(89.8% .06 159)",
            "300": "oklch(82.6% .092 158)",
            "400": "oklch(72.6% .116 158)",
            "500": "oklch(61.8% .116 158)",
            "600": "oklch(50.6% .1 159)",
            "700": "oklch(43.2% .084 160)",
            "800": "oklch(36.6% .068 161)",
            "900": "oklch(30.4% .055 162)",
            "950": "oklch(21.8% .041 164)",
        },
    },
    "STYLES": [lambda request: static("admin-laurel.css")],
    "SIDEBAR": {"navigation": "config.admin.navigation.sidebar"},
    "DASHBOARD_CALLBACK": "config.admin.dashboard.fill",
}

# The queue: Celery over the same PostgreSQL, or over the broker that CELERY_BROKER_URL names.


def _pgmq_url(database: dict[str, Any]) -> str:
    """Return the address of the queue that lives in the database itself."""
    user, password = quote(str(database["USER"]), safe=""), quote(str(database["PASSWORD"]), safe="")
    host, port = database["HOST"] or "127.0.0.1", database["PORT"] or 5432
    return f"pgmq://{user}:{password}@{host}:{port}/{quote(str(database['NAME']), safe='')}"


CELERY_BROKER_URL = (
    "memory://" if TESTING else env.str("CELERY_BROKER_URL", default="") or _pgmq_url(DATABASES["default"])
)
CELERY_TASK_ALWAYS_EAGER = CELERY_TASK_EAGER_PROPAGATES = TESTING
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "laurel"
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 3
CELERY_TIMEZONE = "UTC"
if CELERY_BROKER_URL.startswith("pgmq://"):
    # Remote control names queues longer than PGMQ allows and needs SQL that the package lacks.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "conn_string": "postgresql" + CELERY_BROKER_URL.removeprefix("pgmq"),
        "init_extension": False,
        "wait_time_seconds": 0,
        "polling_interval": 0.1,
        "visibility_timeout": env.int("CELERY_VISIBILITY_TIMEOUT", default=300),
        "pool_size": 4,
    }
elif CELERY_BROKER_URL.startswith(("redis", "sentinel")):
    # Of itself it waits for ever for a broker that takes connections and says nothing, and a page with it.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 3, "socket_timeout": 5}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_FOLDER / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "config.heartbeat", "schedule": 30.0, "options": {"expires": 60}},
    "check_books": {
        "task": "points.check_books",
        "schedule": crontab(day_of_week="sun", hour=LAUREL_CLOSE_HOUR_UTC, minute=45),
    },
    "expire_coupons": {"task": "rewards.expire_coupons", "schedule": crontab(hour=LAUREL_CLOSE_HOUR_UTC, minute=30)},
    "cancel_unpaid": {
        "task": "rewards.cancel_unpaid",
        "schedule": crontab(minute="4-59/5"),
        "options": {"expires": 300},
    },
    "forget_guesses": {"task": "rewards.forget_guesses", "schedule": crontab(hour=LAUREL_CLOSE_HOUR_UTC, minute=35)},
    "release_reservations": {
        "task": "rewards.release_reservations",
        "schedule": crontab(),
        "options": {"expires": 60},
    },
    "void_stale_holds": {
        "task": "points.void_stale_holds",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 300},
    },
    "convert_referrals": {
        "task": "points.convert_referrals",
        "schedule": crontab(minute="2-59/5"),
        "options": {"expires": 300},
    },
    "close_day": {"task": "points.close_day", "schedule": crontab(hour=LAUREL_CLOSE_HOUR_UTC, minute=0)},
    "collect_webhooks": {"task": "rewards.collect_webhooks", "schedule": 60.0, "options": {"expires": 60}},
    "purge_webhooks": {"task": "members.purge_webhooks", "schedule": crontab(hour=LAUREL_CLOSE_HOUR_UTC, minute=50)},
}

# Logs: one JSON object a line on stderr, with the request's id; people at a terminal get text with LOG_FORMAT=text.
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_USER_ID_FIELD = "pk"
LOG_LEVEL = env.str("LOG_LEVEL", default="WARNING" if TESTING else "INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"LOG_LEVEL: “{LOG_LEVEL}” is none of DEBUG, INFO, WARNING, ERROR and CRITICAL.")
_log_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    logs.redact,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    logs.hide_codes,  # last, for what was put into words before
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _log_processors,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=False)
                if env.str("LOG_FORMAT", default="json") == "text"
                else structlog.processors.JSONRenderer(),
            ],
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "axes": {"level": logging.WARNING},
        "django.server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_log_processors,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
