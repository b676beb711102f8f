"""English of an international programme: 24 hours, months by three letters, and short dates nobody turns round."""

DATE_FORMAT = "M j, Y"
MONTH_DAY_FORMAT = "M j"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "M j, Y, H:i"
SHORT_DATE_FORMAT = "Y-m-d"
SHORT_DATETIME_FORMAT = "Y-m-d H:i"
