"""How much: the programme's promises, the business facts, the books and the night."""

from .journal import COUPON_USES, Event, Operation, Reference, RuleBudget, RuleUsage
from .laws import LEDGER_ROLE
from .ledger import MOVEMENTS, Account, Balance, Draw, Entry, EntryKind, Hold, HoldStatus, Lot
from .night import DailyStatistic, JobRun, MemberMonth
from .programme import (
    AmountBasis,
    AwardKind,
    ClawbackPolicy,
    EarningRule,
    EventType,
    ExpiryPolicy,
    PointType,
    Rounding,
    RuleStatus,
)
from .referring import CapPeriod, Referral, ReferralCondition, ReferralProgramme, ReferralStatus

__all__ = [
    "COUPON_USES",
    "LEDGER_ROLE",
    "MOVEMENTS",
    "Account",
    "AmountBasis",
    "AwardKind",
    "Balance",
    "CapPeriod",
    "ClawbackPolicy",
    "DailyStatistic",
    "Draw",
    "EarningRule",
    "Entry",
    "EntryKind",
    "Event",
    "EventType",
    "ExpiryPolicy",
    "Hold",
    "HoldStatus",
    "JobRun",
    "Lot",
    "MemberMonth",
    "Operation",
    "PointType",
    "Reference",
    "Referral",
    "ReferralCondition",
    "ReferralProgramme",
    "ReferralStatus",
    "Rounding",
    "RuleBudget",
    "RuleStatus",
    "RuleUsage",
]
