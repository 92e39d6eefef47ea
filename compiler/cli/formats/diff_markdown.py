"""A Diff in, what a reviewer reads in a pull request out: markdown, safe whatever the files hold."""

from __future__ import annotations

from collections.abc import Sequence

from calico_rkt.compiler.cli.formats.findings import markdown_code, markdown_text
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.review.change import Change, Diff
from calico_rkt.compiler.review.diff_text import MOST_CHANGES, decided_by, named_parties, remarks_of_diff


def markdown(diff: Diff, strays: tuple[Change, ...] | None = None) -> str:
    """A heading, one table for what is newly allowed and one for what is newly denied, and the remarks."""
    out = [f"### Policy: {markdown_code(diff.old)} to {markdown_code(diff.new)}", ""]
    if strays:
        out += ["**Outside the guardrails:**", "", *_table(strays)]
    for heading, widened in (("Newly allowed", True), ("Newly denied", False)):
        changes = [c for c in diff.changes if c.widened is widened]
        if changes:
            out += [f"**{heading}**", "", *_table(changes)]
    out += [f"- {markdown_text(words)}" for words in remarks_of_diff(diff)]
    if strays == () and not diff.undecided:
        out.append("- all that is newly allowed lies within the guardrails")
    return "\n".join(out).rstrip() + "\n"


def _table(changes: Sequence[Change]) -> list[str]:
    lines = ["| from | to | packets | such as | decided by |", "| --- | --- | --- | --- | --- |"]
    for c in changes[:MOST_CHANGES]:
        cells = (
            markdown_text(named_parties(c.sources)),
            markdown_text(named_parties(c.destinations)),
            markdown_text(str(c.flow)),
            markdown_code(packet_words(c.example)),
            "<br>".join(map(markdown_text, decided_by(c))),
        )
        lines.append(f"| {' | '.join(cells)} |")
    more = len(changes) - MOST_CHANGES
    lines += ["", f"{more} more flows: `--format json` has them all"] if more > 0 else []
    return [*lines, ""]
