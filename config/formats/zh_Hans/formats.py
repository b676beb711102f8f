"""Chinese as it is written: a month and a day have no zero before them, as in Django's own dates with a year."""

MONTH_DAY_FORMAT = "n月j日"
