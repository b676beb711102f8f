"""What Django REST framework costs by itself: a body read and judged, an answer written, nothing done."""

from typing import Any

from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from points.models import EventType


class MoneyBody(serializers.Serializer[Any]):
    """An amount, as a plain serializer takes it."""

    amount = serializers.DecimalField(max_digits=15, decimal_places=2)
    currency = serializers.CharField(max_length=3)


class PurchaseBody(serializers.Serializer[Any]):
    """A purchase, as a plain serializer takes it."""

    reference = serializers.CharField(max_length=100)
    member = serializers.CharField(max_length=40)
    type = serializers.ChoiceField(EventType.choices)
    occurred_at = serializers.DateTimeField()
    money = MoneyBody()
    channel = serializers.CharField(max_length=64, required=False)
    store = serializers.CharField(max_length=64, required=False)


class NoOpView(APIView):
    """A bare view: nobody is asked who he is, and no query is made."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (JSONParser,)

    def get(self, request: Request) -> Response:
        """Answer as much as a balance is."""
        return Response([{"type": name, "available": 0, "pending": 0, "held": 0, "owed": 0} for name in "ab"])

    def post(self, request: Request) -> Response:
        """Judge a purchase and say that it is one."""
        body = PurchaseBody(data=request.data)
        body.is_valid(raise_exception=True)
        return Response({"reference": body.validated_data["reference"], "status": "accepted"}, status=201)
