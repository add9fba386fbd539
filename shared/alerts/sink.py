"""Takes events off the bus, counts them and raises alerts."""

from __future__ import annotations

from collections.abc import Mapping

from shared.alerts.alert import alert_of
from shared.alerts.counters import COUNTED_FOR, Counters
from shared.alerts.observation import TOKENS, Observation, observe
from shared.alerts.raising import Raiser
from shared.alerts.signals import Crossing, crossings
from shared.audit.delivery import read_delivered
from shared.clock import Clock, seconds, utc
from shared.policy.types import Alerts
from shared.stores.documents import DocumentStore
from shared.switch.document import PATH, scopes_on
from shared.web.log import log


class AlertsSink:
    """Counts each event once, and raises what it crossed before it is acknowledged."""

    def __init__(self, documents: DocumentStore, raiser: Raiser, policy: Alerts, clock: Clock) -> None:
        self._documents = documents
        self._counters = Counters(documents, policy.window_seconds)
        self._raiser = raiser
        self._policy = policy
        self._clock = clock

    def store(self, attributes: Mapping[str, str], data: bytes) -> None:
        """Count one event; counting it again does nothing but raise what is not raised yet.

        Raises:
            BadRequest: It is not a record of this trail, or the envelope is another event's.
            StoreUnavailable: The document store or the alerts topic does not answer; the event must be sent again.
        """
        observation = observe(read_delivered(attributes, data))
        if observation is None:
            return
        if abs(seconds(self._clock) - observation.at) > COUNTED_FOR.total_seconds():
            log("WARNING", "alert.not_counted", chain_uid=observation.chain_uid, seq=observation.seq)
            return
        counted = self._counters.count(observation)
        for crossing in crossings(counted, self._policy, lambda: self._counters.history(observation, TOKENS)):
            if crossing.signal != "quarantined" or self._is_off(observation):
                self._raise(observation, crossing)

    def _raise(self, observation: Observation, crossing: Crossing) -> None:
        self._raiser.raise_alert(alert_of(observation, crossing, self._policy.window_seconds))

    def _is_off(self, observation: Observation) -> bool:
        """Whether it is the key itself that the switch is on for, and not all calls or its tenant."""
        return f"key:{observation.subject.key_id}" in scopes_on(self._documents.get(PATH), utc(self._clock))
