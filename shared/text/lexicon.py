"""Words that orders to a model are made of: what decides whether scrambled, turned or shifted text is worth a reading.

They accuse nobody: a text that holds them is only read once more.
"""

from __future__ import annotations

WORDS = frozenset(
    """
    access according admin administrator answer anything assistant behave believe bypass change character command
    commands complete completely confidential configuration content context conversation credentials developer
    directives disable disclose disregard display document documents earlier email enabled everything execute
    explain filter filters following forget freedom function guidelines hidden ignore ignoring information initial
    instead instruction instructions internal jailbreak language limitations message messages model override
    password passwords please pretend previous previously print prompt prompts provide provided repeat reply
    respond response restricted restrictions return reveal rules safety secret secrets security send should show
    system tell text these translate unrestricted update user verbatim without words write your
    """.split()  # noqa: SIM905  # a list of a hundred words reads better so
)

PARTICLES = frozenset(
    """
    about above act after again all also an and any are as at be because been before being below but by can could
    dan did do does done down each else even every few first for from game get give given go had has have he her
    here him his how if in into is it its just key last let like made make me mode more most must my need never new
    no nor not now of off on once one only or other our out over own past play role said same say see set she so
    some stop story such take than that the their them then there they thing things this those through to too under
    until up us use using very want was way we were what when where which while who why will with word would yes
    you
    """.split()  # noqa: SIM905
)
"""Short words that stand between them, by which words written without spaces are taken apart."""
