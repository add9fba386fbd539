"""The rules that every plan must keep."""

from tests.terraform.rules import access, callers, data, edge, functions, topics
from tests.terraform.rules.reading import Rule

RULES: list[Rule] = [rule for module in (access, functions, callers, topics, data, edge) for rule in module.RULES]
