"""Addresses of members."""

from django.urls import path

from members.api import paths  # noqa: F401  the converters must be known before the addresses
from members.api.members import MembersView, MemberView

urlpatterns = [
    path("members/", MembersView.as_view(), name="api-members"),
    path("members/<card:number>/", MemberView.as_view(), name="api-member"),
]
