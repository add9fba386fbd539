"""Topics (LLM02, LLM09): subjects that the policy keeps prompts or answers away from, by phrases that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.guards.owasp import OVERRELIANCE
from shared.guards.patterns import PatternGuard, Rule, literal
from shared.guards.port import Context, Finding
from shared.policy.types import Topic, TopicsRule
from shared.text.canonical import Text

_GAP = r"[\s\p{Z}]{1,16}"
_MOST_GAP = 16


class TopicGuard:
    """Finds the policy's phrases, as whole words; each topic is looked for where the policy says."""

    name = "topics"
    directions = frozenset({"input", "output"})

    def __init__(self, policy: TopicsRule) -> None:
        """
        Raises:
            ValueError: A phrase is too much for RE2.
        """
        enforced = policy.mode == "enforce"
        self._ways = {
            way: PatternGuard(
                self.name, list(_rules(policy.topics, way)), frozenset({way}), policy.action, enforced=enforced
            )
            for way in ("input", "output")
        }
        self._in_prompts = any("input" in topic.denied_in for topic in policy.topics)
        self.reach = self._ways["output"].reach

    def clears(self, joined: str) -> bool:
        """Whether no phrase is in any of the joined texts; unknown where a prompt may be disguised."""
        return not self._in_prompts and self._ways["output"].clears(joined)

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A finding for every phrase of a topic that is denied here; its kind is the topic's name."""
        if context.direction == "input":  # whoever asks may disguise what he asks
            text = Text(text.original, tuple(text.readings), text.removed)
        return self._ways[context.direction].inspect(text, context)


def topic_guard(policy: TopicsRule) -> TopicGuard | None:
    """The guard of a policy; None where it names no topic, so that it does not run."""
    return TopicGuard(policy) if policy.topics else None


def _rules(topics: Sequence[Topic], way: str) -> Iterator[Rule]:
    for topic in topics:
        if way in topic.denied_in:
            for phrase in topic.phrases:
                words = phrase.split()
                letters = "a-z0-9" if phrase.isascii() else r"\pL\pN"
                pattern = f"(?:^|[^{letters}])({_GAP.join(literal(word) for word in words)})(?:$|[^{letters}])"
                width = sum(map(len, words)) + _MOST_GAP * (len(words) - 1) + 2
                yield Rule(f"topics.{topic.name}", topic.name, OVERRELIANCE, pattern, width, 0.7)
