"""What these tests share with those of the points."""

from tests.points.conftest import _forget_point_types

__all__ = ["_forget_point_types"]
