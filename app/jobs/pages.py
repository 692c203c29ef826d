"""Lists in pages: newest first or oldest first, from an object on."""

from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from app.errors import NotFound
from app.jobs.database import Connection

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller wants of a list."""

    limit: int
    order: Order = "desc"
    after: str | None = None
    """Id of the last object of the page before."""


async def read_page(
    connection: Connection,
    table: str,
    owner: str,
    page: Page,
    filters: dict[str, Any],
    columns: LiteralString = "*",
) -> tuple[list[DictRow], bool]:
    """Rows of the owner whose columns have the values of `filters`, and whether there are more.

    A filter whose value is a dict is one on JSON, which must contain it. Raises NotFound for an
    unknown `after`.
    """
    conditions: list[sql.Composable] = [sql.SQL("owner = %s")]
    values: list[object] = [owner]
    for column, value in filters.items():
        is_document = isinstance(value, dict)
        operator = "@>" if is_document else "="
        conditions.append(sql.SQL(f"{{}} {operator} %s").format(sql.Identifier(column)))
        values.append(Jsonb(value) if is_document else value)
    if page.after is not None:
        found = await connection.execute(
            sql.SQL("SELECT number FROM {} WHERE owner = %s AND id = %s").format(
                sql.Identifier(table)
            ),
            (owner, page.after),
        )
        row = await found.fetchone()
        if row is None:
            raise NotFound(f"No such object: {page.after[:100]}", "after")
        conditions.append(sql.SQL("number < %s" if page.order == "desc" else "number > %s"))
        values.append(row["number"])
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY number {} LIMIT %s").format(
        sql.SQL(columns),
        sql.Identifier(table),
        sql.SQL(" AND ").join(conditions),
        sql.SQL("DESC" if page.order == "desc" else "ASC"),
    )
    cursor = await connection.execute(query, (*values, page.limit + 1))
    rows = await cursor.fetchall()
    return rows[: page.limit], len(rows) > page.limit
