"""What secrets look like, as data. Sources: the providers' own pages on their keys' prefixes, and RFC 7468, 7515, 6750.

Examples are put together from pieces, so that no scanner of repositories takes them for real.
"""

from __future__ import annotations

from shared.guards.masking import is_placeholder
from shared.guards.sensitive import END, START, Check, SensitiveRule

MOST = 4096
"""Characters of the longest secret that is cut whole, but for private keys."""

MOST_KEY = 8192
"""Characters of a private key in PEM: RSA with 8192 bits has 6,400."""

KEY_OPENING = "-----BEGIN"
KEY_OPENING_WIDTH = 64
"""The longest first line of a private key in PEM."""

KEY_HEAD = r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_KEY_CLOSING = "-----END"

_DUMMIES = ("your", "xxxx", "placeholder", "changeme", "redacted", "****", "...")
"""What stands in a text where a secret is to be put."""

_SAMPLES = (*_DUMMIES, "example")
_REFERENCES = ("environ", "getenv", "env.", "secrets.", "config.", "settings.", "self.")
"""Where a program has a password from."""

_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF-")


def minted(text: str, start: int, end: int) -> int:
    """A token whose form leaves no doubt, unless it only shows where one is to be put."""
    value = text[start:end]
    return end if len(set(value)) >= 8 and not _is_dummy(value, _DUMMIES) else start


def varied(text: str, start: int, end: int) -> int:
    """A token that somebody drew at random: of letters and digits, not of words."""
    return minted(text, start, end) if _is_mixed(text[start:end]) else start


def _is_mixed(value: str) -> bool:
    return not _DIGITS.isdisjoint(value) and value.lower() != value.upper()


def _is_dummy(value: str, dummies: tuple[str, ...]) -> bool:
    lower = value.lower()
    return any(dummy in lower for dummy in dummies) or is_placeholder(value)


_QUOTES = ("'", '"', "`")


def password(text: str, start: int, end: int) -> int:
    """What is set as a password: no word, no variable, no call, no sample."""
    value = text[start:end]
    if text[end : end + 1] not in _QUOTES:
        value = value.rstrip(".,;:!?)]}`")
    digits = not _DIGITS.isdisjoint(value)
    kinds = digits + (value != value.upper()) + (value != value.lower()) + (not value.isalnum())
    if len(value) < 6 or not ((digits and kinds >= 2) or kinds >= 3):
        return start
    if any(mark in value for mark in ("(", "${", "{{", "<", "://", "[")) or value[0] in "$%":
        return start
    if _is_dummy(value, (*_SAMPLES, *_REFERENCES)):
        return start
    return start + len(value)


def credential(text: str, start: int, end: int) -> int:
    """The password in an address: not a variable, and not crossed out."""
    value = text[start:end]
    crossed_out = set(value.lower()) <= set("x*.")
    return start if crossed_out or value[0] in "$%{<[" or is_placeholder(value) else end


def high_entropy(text: str, start: int, end: int) -> int:
    """A value with the entropy of a key: 3 bits a character for hex from 32 on, else 3.5; a UUID is an id."""
    value = text[start:end].rstrip("=")
    if len(value) < 20 or not _is_mixed(value) or _is_dummy(value, _SAMPLES):
        return start
    if _HEX.issuperset(value):
        enough = len(value) >= 32 and value.count("-") == 0 and entropy(value) >= 3.0
    else:
        words = value.replace("-", "_").split("_")
        enough = entropy(value) >= 3.5 and any(len(word) >= 10 and sum(map(str.isdigit, word)) >= 3 for word in words)
    return end if enough else start


def entropy(value: str) -> float:
    """Shannon's entropy in bits a character."""
    from math import log2

    size = len(value)
    return -sum(count / size * log2(count / size) for count in map(value.count, set(value)))


def jwt(text: str, start: int, end: int) -> int:
    """A token whose second part begins within what may be cut."""
    second = text.find(".eyJ", start, end)
    return varied(text, start, end) if second != -1 and end - second >= 24 else start


def private_key(text: str, start: int, end: int) -> int:
    """A private key up to the end of its last line; one that was cut short, as far as its lines go."""
    limit = start + MOST_KEY
    at, last = end, False
    for line in text[end:limit].replace("\\n", "\n\n").replace("\\r", "\r\r").splitlines(keepends=True):
        body = line.strip(_AROUND)
        whole = line[-1] in "\r\n"
        if body.startswith(_KEY_CLOSING):
            dashes = line.find("-----", line.find(_KEY_CLOSING) + len(_KEY_CLOSING))
            return at + (len(line) if dashes == -1 else dashes + 5)
        if not whole and _KEY_CLOSING.startswith(body):
            return at + len(line)
        if not body:
            at += len(line)
        elif last or not _is_key_line(body, whole=whole):
            break
        else:
            at += len(line)
            last = whole and len(body) < 16  # the end of a key, after which only its last line may come
    return at


_KEY_LINE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_KEY_HEADERS = ("Proc-Type: ", "DEK-Info: ", "Comment: ", "Version: ")
_AROUND = " \t\r\n\"'+,;\\"
"""What stands around the lines of a key in source code."""


def _is_key_line(body: str, *, whole: bool) -> bool:
    if _KEY_LINE.issuperset(body):
        return True
    return body.startswith(_KEY_HEADERS) or (not whole and any(header.startswith(body) for header in _KEY_HEADERS))


def _token(
    kind: str,
    pattern: str,
    *examples: str,
    score: float = 0.99,
    check: Check = minted,
    passes: tuple[str, ...] = (),
) -> SensitiveRule:
    """A rule for a token with a prefix of its own, which is written as it is."""
    name = f"secrets.{kind}" if not examples else f"secrets.{kind}.{examples[0][:12].strip('_-.').lower()}"
    written = f"{START}((?-i:{pattern}))"
    return SensitiveRule(name, kind, written, score, check, matches=examples, passes=passes)


_B62, _B64URL = "[A-Za-z0-9]", "[A-Za-z0-9_-]"
_MIX = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6"
_LOW = _MIX.lower()
_HEXES = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

_TOKENS = (
    _token(
        "openai_key",
        rf"sk-(?:proj-|svcacct-|admin-)?{_B64URL}{{20,}}",
        "sk-proj-" + _MIX,
        "sk-" + _MIX[:48],
        score=0.95,
        passes=("sk-learn-is-a-very-long-kebab-name", "task-" + _MIX, "sk-" + "x" * 48),
        check=varied,
    ),
    _token("anthropic_key", rf"sk-ant-[a-z0-9]{{2,8}}-{_B64URL}{{20,}}", "sk-ant-api03-" + _MIX),
    _token("google_key", rf"AIza{_B64URL}{{35}}", "AIza" + _MIX[:35]),
    _token("google_key", rf"GOCSPX-{_B64URL}{{20,}}", "GOCSPX-" + _MIX[:28]),
    _token("google_key", rf"ya29\.{_B64URL}{{20,}}", "ya29." + _MIX, check=varied),
    _token("google_key", rf"1//0{_B64URL}{{30,}}", "1//0" + _MIX, check=varied),
    _token(
        "aws_key",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
        "AKIA" + "Q3EGR2WNTKM5LX7Z",
        passes=("AKIA" + "X" * 16,),
    ),
    _token("github_token", rf"gh[pousr]_{_B62}{{30,}}", "ghp_" + _MIX[:36], "gho_" + _MIX[:36], passes=("ghp_short",)),
    _token("github_token", r"github_pat_[A-Za-z0-9_]{30,}", "github_pat_" + _MIX),
    _token(
        "gitlab_token",
        rf"gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-{_B64URL}{{20,}}",
        "glpat-" + _MIX[:20],
        check=varied,
    ),
    _token("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}", "xoxb-" + "123456789012-" + _MIX[:24], check=varied),
    _token("slack_token", r"xapp-[0-9]-[A-Za-z0-9-]{10,}", "xapp-1-" + _MIX[:30], check=varied),
    _token(
        "slack_token",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}",
        "hooks.slack.com/services/" + "T01ABCDEF/B02GHIJKL/" + _MIX[:24],
        check=varied,
    ),
    _token("stripe_key", rf"(?:sk|rk)_(?:live|test)_{_B62}{{16,}}", "sk_live_" + _MIX[:24], "rk_test_" + _MIX[:24]),
    _token("stripe_key", rf"whsec_{_B62}{{24,}}", "whsec_" + _MIX[:32]),
    _token("huggingface_token", rf"(?:hf|api_org)_{_B62}{{30,}}", "hf_" + _MIX[:34]),
    _token("npm_token", rf"npm_{_B62}{{36}}", "npm_" + _MIX[:36]),
    _token("pypi_token", rf"pypi-Ag{_B64URL}{{50,}}", "pypi-AgEIcHlwaS5vcmc" + _MIX),
    _token(
        "wardgate_key",
        r"wg_[a-z2-7]{24}_[a-z2-7]{40}",
        "wg_" + "ab2cd3ef4gh5ij6kl7mn2op3_" + "ab2cd3ef4gh5ij6kl7mn2op3qr4st5uv6wx7yz2a",
        passes=("wg_short_key",),
    ),
    _token(
        "azure_key",
        r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,88}={0,2}",
        "AccountKey=" + _MIX + _MIX[:34] + "==",
    ),
    _token("service_token", rf"SG\.{_B64URL}{{16,32}}\.{_B64URL}{{30,64}}", "SG." + _MIX[:22] + "." + _MIX[:43]),
    _token("service_token", r"(?:dop|doo|dor)_v1_[a-f0-9]{64}", "dop_v1_" + _HEXES * 2),
    _token(
        "service_token",
        r"(?:shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|dapi[a-f0-9]{32})",
        "shpat_" + _HEXES,
        "dapi" + _HEXES,
    ),
    _token(
        "service_token",
        rf"(?:hv[sbr]\.{_B64URL}{{24,}}|{_B62}{{14}}\.atlasv1\.{_B64URL}{{40,}})",
        "hvs." + _MIX,
        check=varied,
    ),
    _token(
        "service_token",
        rf"(?:gsk_|r8_|pplx-|xai-|lsv2_(?:pt|sk)_|tgp_v1_|nvapi-|fw_|csk-){_B64URL}{{28,}}",
        "gsk_" + _MIX,
        "pplx-" + _MIX,
        "xai-" + _MIX,
        "nvapi-" + _MIX,
        check=varied,
    ),
    _token(
        "service_token",
        rf"(?:lin_api_|ntn_|dckr_(?:pat|oat)_|glsa_|glc_|pul-|rubygems_|sbp_|pscale_(?:tkn|pw|oauth)_|PMAK-|NRAK-|"
        rf"ATATT3|dp\.(?:pt|st|sa)\.|sq0(?:atp|csp)-|figd_|tfp_|sntrys_|sentry_){_B64URL}{{22,}}",
        "lin_api_" + _MIX,
        "dckr_pat_" + _MIX,
        "PMAK-" + _MIX,
        "rubygems_" + _LOW,
        check=varied,
    ),
    _token("service_token", rf"[0-9]{{8,10}}:AA{_B64URL}{{33}}", "123456789:AA" + _MIX[:33]),
    _token("service_token", r"(?:SK|key-)[0-9a-f]{32}", "SK" + _HEXES, "key-" + _HEXES, check=varied),
    _token(
        "service_token",
        rf"[MNO]{_B62}{{23,25}}\.{_B64URL}{{6}}\.{_B64URL}{{27,38}}",
        "M" + _MIX[:23] + ".G1aB2c." + _MIX[:38],
    ),
    _token("azure_key", r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9~._-]{31,34}", "abC8Q~" + _MIX[:34]),
    _token("service_token", r"AGE-SECRET-KEY-1[A-Z0-9]{58}", "AGE-SECRET-KEY-1" + (_MIX + "Q7W8").upper()[:58] + "Q3"),
    _token(
        "service_token",
        rf"(?:discord(?:app)?\.com/api/webhooks/[0-9]{{17,20}}/{_B64URL}{{60,}})",
        "discord.com/api/webhooks/" + "12345678901234567/" + _MIX + _MIX[:16],
    ),
    SensitiveRule(
        "secrets.jwt",
        "jwt",
        rf"(?:^|[^A-Za-z0-9_.-])((?-i:eyJ{_B64URL}{{8,}}\.eyJ[A-Za-z0-9._-]{{20,}}))",
        0.97,
        jwt,
        matches=("eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + _MIX,),
        passes=("eyJhbGciOiJIUzI1NiJ9.e30.",),
    ),
)

_SET = r"[\"'`]?[ \t]{0,8}(?::=|=>|==?|:)[ \t]{0,8}[\"'`]{0,3}"
"""Between a name and the value that it is given, in code, JSON, YAML and prose."""

_ASSIGNED = (
    SensitiveRule(
        "secrets.google_key.private_key_id",
        "google_key",
        rf"private_key_id{_SET}([a-f0-9]{{40}}){END}",
        0.9,
        varied,
        matches=('{"private_key_id": "' + _HEXES + '0f1e2d3c"}',),
        passes=('{"commit": "' + _HEXES + '0f1e2d3c"}',),
    ),
    SensitiveRule(
        "secrets.aws_key.secret",
        "aws_key",
        rf"aws.{{0,20}}(?:secret|access).{{0,20}}key{_SET}([A-Za-z0-9/+]{{40}})(?:$|[^A-Za-z0-9/+=])",
        0.97,
        varied,
        matches=("aws_secret_access_key = " + _MIX[:40], '"awsSecretAccessKey": "' + _MIX[:40] + '"'),
        passes=("aws_secret_access_key = " + "x" * 40,),
    ),
    SensitiveRule(
        "secrets.bearer_token",
        "bearer_token",
        r"\b(?:bearer|basic)[ \t]{1,4}([A-Za-z0-9._~+/-]{16,}={0,2})",
        0.9,
        varied,
        matches=("Authorization: Bearer " + _MIX[:40], "authorization: basic dXNlcjpwYXNzd29yZDEyMzQ1"),
        passes=(
            "the bearer of these documents",
            "Bearer YOUR_TOKEN_GOES_HERE_123",
            "Bearer eyJhbGciOiJSUzI1NiI...",
            "basic understanding-of-things",
        ),
    ),
    SensitiveRule(
        "secrets.connection_string",
        "connection_string",
        r"(?:^|[^a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://[!#-&(-.0-9;=?A-Z_a-z~]{0,64}:([!#-&(-.0-;=?A-Z_a-z~@]{1,128})@[A-Za-z0-9\[]",
        0.97,
        credential,
        matches=(
            "postgres://app:" + "s3cr3tpw@db.internal:5432/app",
            "redis://:" + "hunter2@cache:6379",
            "mongodb+srv://u:p@ss@h/x",
        ),
        passes=(
            "https://example.com:8080/@user",
            "postgres://app:${DB_PASSWORD}@db/app",
            "postgres://user:****@localhost/db",
        ),
    ),
    SensitiveRule(
        "secrets.password",
        "password",
        rf"(?:password|passwd|passwort|passphrase|contrase[nñ]a|mot de passe|pwd|passcode)"
        rf"(?:{_SET}|[ \t]{{1,4}}(?:is|ist|es|est)[ \t]{{1,4}}"
        r"[\"'`]?)([!#-&(-.0-9:;=?@A-Z\[\]^_a-z{|}~+/*-]{6,128})",
        0.7,
        password,
        matches=(
            "password: hunter2x",
            "DB_PASSWORD=Tr0ub4dor&3",
            "My password is 'Sup3rS3cret!'",
            '{"passwd": "a1b2c3d4"}',
        ),
        passes=(
            "The password is required.",
            "password: str",
            "password = os.environ['PASSWORD_1']",
            "password=${DB_PASSWORD_1}",
            "redis_password: os.environ/REDIS_PASSWORD",
            "password: EMAIL1BCDFGHJK",
            "password: example123",
        ),
    ),
    SensitiveRule(
        "secrets.high_entropy",
        "high_entropy",
        rf"(?:key|token|secret|credentials?|signature|auth)[A-Za-z0-9_]{{0,20}}{_SET}([A-Za-z0-9+/_=-]{{20,}})",
        0.6,
        high_entropy,
        matches=("api_key = '" + _MIX[:32] + "'", "SECRET_TOKEN: " + _HEXES + _HEXES),
        passes=(
            "cache_key: 550e8400-e29b-41d4-a716-446655440000",
            "tokenizer: a_very_long_name_of_some_tokenizer_v2",
            "api_key = get_the_key_from_the_environment2()",
            "commit 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
        ),
    ),
    SensitiveRule(
        "secrets.private_key",
        "private_key",
        f"((?-i:{KEY_HEAD}))",
        0.99,
        private_key,
        matches=(
            "-----BEGIN " + "RSA PRIVATE KEY-----\n" + _MIX + "\n" + _MIX[:20] + "\n-----END " + "RSA PRIVATE KEY-----",
            '{"private_key": "-----BEGIN ' + "PRIVATE KEY-----\\n" + _MIX + '\\n-----END PRIVATE KEY-----\\n"}',
            "-----BEGIN " + "OPENSSH PRIVATE KEY-----\n" + _MIX,
        ),
        passes=("-----BEGIN CERTIFICATE-----\n" + _MIX, "-----BEGIN PUBLIC KEY-----\n" + _MIX),
    ),
)

RULES: tuple[SensitiveRule, ...] = (*_TOKENS, *_ASSIGNED)
