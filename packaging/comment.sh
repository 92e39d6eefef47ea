#!/usr/bin/env bash
# What the GitHub action posts: REPORT as a comment of the pull request, in the place of the one posted before, which
# is known by its first line: another bot's, or that of another workspace, is never touched. Where REPORT is empty, one
# that stands there says that it counts no more.
# environment: GH_TOKEN, GITHUB_REPOSITORY, PULL_REQUEST, WORKSPACE, REPORT
# exit status: always 0; a token that may not comment (of a fork's pull request) is a warning
set -uo pipefail
most=60000 # bytes: GitHub takes no comment of more than 65,536 characters
export MARK="<!-- calico-rkt review of $WORKSPACE -->"
comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
    printf '%s\n' "$MARK"
    if [ ! -s "$REPORT" ]; then
        printf '%s\n' "**What the last push lets through could not be told: the log of the job says why.**"
    elif [ "$(wc -c <"$REPORT")" -gt "$most" ]; then
        printf '%s\n\n' "**This is its beginning alone; all of it is in the summary of the job.**"
        head -c "$most" "$REPORT" | sed '$d' # the last line may be a part of one
    else
        cat "$REPORT"
    fi
} >"$body"
before=$(gh api --paginate "$comments" --jq '.[] | select(.body | startswith(env.MARK)) | .id' | tail -n 1)
if [ -n "$before" ]; then
    gh api --silent -X PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$before" -F "body=@$body" && exit 0
fi
[ -s "$REPORT" ] || exit 0
gh api --silent "$comments" -F "body=@$body" ||
    echo "::warning title=calico-rkt::the difference is in the job's summary: this token may not comment (pull-requests: write)"
exit 0
