"""Documents of API keys, as `python -m app.keys` writes them, around keys that tests know."""

from collections.abc import Mapping

from app.access.keys_file import Holder, KeysDocument, dump, new_document

ADMIN_KEY = "an admin key with spaces"
SALES_KEY = "vb_2bgTlZ0hYwL3oJ3mU0uZ8yD4q7rNfXcKpEaVsQiW1dM"


def document(admin: str | None = ADMIN_KEY, **holders: Mapping[str, object]) -> KeysDocument:
    """An administrator, if any, and others by name: their fields, and as `key` their key."""
    empty = new_document()
    wanted: dict[str, Mapping[str, object]] = {**holders}
    if admin is not None:
        wanted["office"] = {"key": admin, "admin": True}
    return KeysDocument(
        salt=empty.salt,
        holders=tuple(
            Holder.model_validate(
                {
                    "name": name,
                    "keys": [empty.stored(str(fields["key"]), None)],
                    **{field: value for field, value in fields.items() if field != "key"},
                }
            )
            for name, fields in wanted.items()
        ),
    )


def keys(admin: str | None = ADMIN_KEY, **holders: Mapping[str, object]) -> str:
    """The value of VERBATIM_ACCESS__KEYS."""
    return dump(document(admin, **holders))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
