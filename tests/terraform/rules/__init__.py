"""The rules that every plan must keep."""

from tests.terraform.rules import access, callers, data, edge, functions, monitoring, topics
from tests.terraform.rules.reading import Rule

_MODULES = (access, functions, callers, topics, data, edge, monitoring)

RULES: list[Rule] = [rule for module in _MODULES for rule in module.RULES]
