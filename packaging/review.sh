#!/usr/bin/env bash
# What the GitHub action runs: check and diff of WORKSPACE, findings into the log, the difference into REPORT.
# environment: WORKSPACE, BASE (may be empty), FAIL_ON, CALICO_RKT (the program), REPORT, GITHUB_STEP_SUMMARY (optional)
# exit status: 1 where something fails the job, 2 where something could not be read
set -uo pipefail
status=0
worse() { [ "$1" -le "$status" ] || status=$1; }

case "$FAIL_ON" in
    widened | any) options=(--fail-on "$FAIL_ON") ;;
    outside-guardrails) options=(--within-guardrails) ;;
    nothing) options=() ;;
    *)
        echo "::error title=calico-rkt::fail-on is '$FAIL_ON', none of widened, any, outside-guardrails, nothing"
        exit 2
        ;;
esac
"$CALICO_RKT" check -C "$WORKSPACE" --format github
worse $?
: >"$REPORT"
if [ -n "$BASE" ]; then
    git rev-parse --verify --quiet --end-of-options "$BASE^{commit}" >/dev/null ||
        git fetch --quiet --depth=1 origin "$BASE"
    "$CALICO_RKT" diff "$BASE" -C "$WORKSPACE" --format markdown "${options[@]}" >"$REPORT"
    found=$?
    if [ "$found" -ge 2 ] || [ "$FAIL_ON" != nothing ]; then worse "$found"; fi
    cat "$REPORT" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
fi
exit "$status"
