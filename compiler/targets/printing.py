"""A template's name and values in, text out: the one place where Jinja2 is set up."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from calico_rkt import templates

if TYPE_CHECKING:
    from jinja2 import Environment


def template_text(name: str) -> str:
    """The source of `FOLDER/FILE.j2` under templates/; works from a folder, a wheel and a zip application."""
    return templates.data(name).decode()


def render_template(template: str, /, **values: object) -> str:
    """The text of one template; a value that the template wants and did not get is an error.

    In `.html.j2` every value is escaped but what is Markup; elsewhere the writers quote for their own format.
    """
    return environment().get_template(template).render(**values)


@cache
def environment() -> Environment:
    """Jinja2 as all templates are read by it."""
    # Readers live in the same package and must not cost Jinja2's import.
    from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

    from calico_rkt.compiler.targets.built_templates import BuiltTemplates

    return Environment(
        autoescape=select_autoescape(("html.j2",)),
        loader=FunctionLoader(template_text),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        bytecode_cache=BuiltTemplates(),
    )
