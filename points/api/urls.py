"""Addresses of events, points and statistics."""

from django.urls import path

from members.api import paths  # noqa: F401  the converters must be known before the addresses
from points.api import accounts, events, holds, statistics

urlpatterns = [
    path("members/<card:number>/balance/", accounts.BalanceView.as_view(), name="api-balance"),
    path("members/<card:number>/entries/", accounts.EntriesView.as_view(), name="api-entries"),
    path("members/<card:number>/lots/", accounts.LotsView.as_view(), name="api-lots"),
    path("members/<card:number>/statistics/", accounts.MemberStatisticsView.as_view(), name="api-member-statistics"),
    path("events/", events.EventsView.as_view(), name="api-events"),
    path("events/preview/", events.PreviewView.as_view(), name="api-events-preview"),
    path("events/<reference:reference>/explanation/", events.ExplanationView.as_view(), name="api-explanation"),
    path("holds/", holds.HoldsView.as_view(), name="api-holds"),
    path("holds/<uuid:key>/capture/", holds.CaptureView.as_view(), name="api-capture"),
    path("holds/<uuid:key>/void/", holds.VoidView.as_view(), name="api-void"),
    path("statistics/daily/", statistics.DailyStatisticsView.as_view(), name="api-daily-statistics"),
]
