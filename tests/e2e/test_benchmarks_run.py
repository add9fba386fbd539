"""The bench runs and prints every row. What the figures are is no test."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ROWS = {
    "answer p50, 1 client",
    "answer p99, 1 client",
    "answer p50, 15 kB asked",
    "first streamed byte p50",
    *(["processor time of an answer"] if Path("/proc/self/stat").exists() else []),
    "added p50, 1 client",
    *(
        f"answers a second, {clients}{of}"
        for clients in ("1 client", "16 clients")
        for of in ("", ", of a bare gateway's")
    ),
    *(f"100 streams at once, {name}" for name in ("upstream", "model", "guard")),
    *(
        f"{measure}, {name}"
        for measure in ("start to first 200", "imports")
        for name in (
            "guard",
            "model",
            "audit_archive",
            "audit_warehouse",
            "audit_alerts",
            "audit_seal",
            "rotate_secrets",
        )
    ),
    *(f"start to first chat, {name}" for name in ("guard", "model")),
}


def measured(module, *arguments):
    """What a bench says as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_row_is_measured():
    told = measured("tests.benchmarks", "--quick")
    rows = {row["name"]: row for row in told["rows"]}
    assert set(rows) == ROWS
    assert all(row["value"] > 0 and row["baseline"] > 0 for row in rows.values())


ADMISSION_ROWS = {
    *("reserve, 1 limit", "reserve, 6 limits on 2 documents", "reserve and settle", "denied again"),
    *("naive read, then write", "naive transaction", "limits, in memory", "start to first commit"),
}


def test_the_bench_of_admission_counts_and_prices(firestore_project):
    told = measured("tests.benchmarks.admission", "--requests", "5", "--starts", "1")
    assert {row["name"] for row in told["rows"]} >= ADMISSION_ROWS
    costs = told["costs"]
    assert [costs["naive transaction"][what] for what in ("rpc", "reads", "writes")] == [3, 1, 1]
    assert costs["reserve and settle"]["rpc"] == 2
    assert costs["denied again"]["rpc"] == 0
    assert round(costs["bare commit"]["usd_per_million"], 2) == 1.80
    assert told["prices"]["source"].startswith("https://cloud.google.com/")


AUDIT_ROWS = {
    *(f"added to a request, {mode}, p50" for mode in ("fail_close", "best_effort")),
    *("events a second, one writer", "events a second, one writer, 8 threads", "events a second, sealed"),
    *(f"events a second, verified from {source}" for source in ("segments", "the archive")),
    *(f"bytes of an event, {what}" for what in ("archived", "segment and checkpoint")),
}


def test_the_bench_of_the_audit_trail_prints_every_row():
    told = measured("tests.benchmarks.audit", "--quick")
    rows = {row["name"]: row for row in told["rows"]}
    assert set(rows) == AUDIT_ROWS
    assert all(row["value"] > 0 for row in rows.values())


def test_the_bench_of_the_guards_times_each_of_them():
    rows = measured("tests.benchmarks.guards", "--quick")
    guards = {name.partition(": ")[2] for name in rows}
    assert {"injection", "secrets", "pii", "links", "all guards over text, views included"} <= guards
    assert {f"{kind} {size}" for kind in ("prose", "attack", "noise") for size in ("200 B", "4 kB", "32 kB")} == set(
        rows["reading into views"]
    )
    assert all(time > 0 for times in rows.values() for time in times.values())
