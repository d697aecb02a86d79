"""How a setting is described: one call gives its default, section, meaning, permitted values and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import AliasChoices, BaseModel, Field
from pydantic.fields import FieldInfo


class About(NamedTuple):
    """What messages, `.env.example` and docs/settings.md say of one setting."""

    name: str
    variable: str
    aliases: tuple[str, ...]
    section: str
    meaning: str
    may: str
    secret: bool
    reload: bool
    default: str


def setting(
    default: Any,
    section: str,
    meaning: str,
    may: str,
    *,
    secret: bool = False,
    reload: bool = False,
    alias: AliasChoices | None = None,
    **bounds: Any,
) -> Any:
    """A settings field. A callable default is called with the fields validated before it."""
    extra: dict[str, Any] = {"section": section, "may": may, "secret": secret, "reload": reload}
    how: dict[str, Any] = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**how, description=meaning, json_schema_extra=extra, validation_alias=alias, repr=not secret, **bounds)


def describe(model: type[BaseModel]) -> dict[str, About]:
    """Every field of `model` by name, in the order they are written."""
    return {name: _about(name, info) for name, info in model.model_fields.items()}


def _about(name: str, info: FieldInfo) -> About:
    extra = info.json_schema_extra
    assert isinstance(extra, dict), name
    choices = info.validation_alias.choices if isinstance(info.validation_alias, AliasChoices) else [name.upper()]
    variables = [str(choice) for choice in choices]
    return About(
        name=name,
        variable=variables[0],
        aliases=tuple(variables[1:]),
        section=str(extra["section"]),
        meaning=info.description or "",
        may=str(extra["may"]),
        secret=bool(extra["secret"]),
        reload=bool(extra["reload"]),
        default=_text(None if info.default_factory else info.default),
    )


def _text(default: object) -> str:
    """A default as one would write it in `.env`; empty where there is none."""
    if default is None or isinstance(default, Mapping):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    if hasattr(default, "get_secret_value"):
        return ""
    return str(default)
