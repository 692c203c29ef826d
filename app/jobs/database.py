"""The database of jobs: connections, transactions, and the tables from numbered SQL files."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib import resources
from typing import Any, LiteralString
from weakref import WeakValueDictionary

import psycopg
from procrastinate.schema import SchemaManager
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from app.errors import InvalidRequest, Overloaded

Connection = psycopg.AsyncConnection[DictRow]

SCHEMA = "verbatim"

MIGRATION_LOCK = 0x76657262
"""Of PostgreSQL's advisory locks: replicas that start together migrate one after the other."""

MAX_CONNECTIONS = 4
"""Of one process, beside two that listen; a managed database has some hundred for all replicas."""

OF_ONE_CALLER = MAX_CONNECTIONS - 1
"""One connection is left for others, however many requests a caller sends."""

CONNECTION_SECONDS = 5.0
"""Wait for a connection, before callers are told to come back."""

RETRY_SECONDS = 5
"""`retry-after` while the database does not answer."""


acting_for: ContextVar[str | None] = ContextVar("acting_for", default=None)
"""The caller of the request that runs; None in work of the server itself."""


class DatabaseUnavailable(Overloaded):
    """The database does not answer, or a connection to it broke."""

    def __init__(self, message: str = "The store of jobs does not answer. Please retry.") -> None:
        super().__init__(message, RETRY_SECONDS)


class Database:
    """A pool of connections to the tables in SCHEMA, which `open` brings up to date."""

    def __init__(self, url: str) -> None:
        self._conninfo = make_conninfo(
            url,
            options=f"-c search_path={SCHEMA}",
            application_name="verbatim",
            connect_timeout=round(CONNECTION_SECONDS),
        )
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._conninfo,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=MAX_CONNECTIONS,
            timeout=CONNECTION_SECONDS,
            # One that broke since its last use is replaced and not handed out.
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        self._is_open = False
        self._turns = WeakValueDictionary[str, asyncio.Semaphore]()

    async def open(self) -> None:
        """Migrate, then open the pool. Raises DatabaseUnavailable."""
        try:
            async with await self.connect() as connection:
                await _migrate(connection)
        except psycopg.Error as error:
            raise DatabaseUnavailable from error
        await self.pool.open()
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        await self.pool.close()

    async def connect(self, *, autocommit: bool = False) -> Connection:
        """A connection beside the pool, which the caller closes. Raises psycopg.Error."""
        return await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=autocommit, row_factory=dict_row
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that is committed at the end of the context, and undone by an exception.

        Raises DatabaseUnavailable; a commit whose answer was lost raises it too.
        """
        if not self._is_open:
            raise DatabaseUnavailable
        try:
            async with self._turn(), self.pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable from error
        except psycopg.DataError as error:
            # NUL in an id or a filter; what is stored was checked before.
            raise InvalidRequest("A value is not Unicode.") from error

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the caller's turns. Raises DatabaseUnavailable, as the pool does."""
        caller = acting_for.get()
        if caller is None:
            yield
            return
        turns = self._turns.setdefault(caller, asyncio.Semaphore(OF_ONE_CALLER))
        try:
            async with asyncio.timeout(CONNECTION_SECONDS):
                await turns.acquire()
        except TimeoutError:
            raise DatabaseUnavailable from None
        try:
            yield
        finally:
            turns.release()


async def one(connection: Connection, query: LiteralString, *values: Any) -> DictRow | None:
    """The first row of an answer."""
    cursor = await connection.execute(query, values)
    return await cursor.fetchone()


async def rows(connection: Connection, query: LiteralString, *values: Any) -> list[DictRow]:
    """All rows of an answer."""
    cursor = await connection.execute(query, values)
    return await cursor.fetchall()


async def changed(connection: Connection, query: LiteralString, *values: Any) -> int:
    """The number of rows that a statement has changed."""
    return (await connection.execute(query, values)).rowcount


async def _migrate(connection: Connection) -> None:
    """Apply the files that the database has not seen, in one transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = {row["name"] for row in await rows(connection, "SELECT name FROM migrations")}
    for name, statements in _migrations():
        if name not in applied:
            await connection.execute(statements)
            await connection.execute("INSERT INTO migrations (name) VALUES (%s)", (name,))


def _migrations() -> list[tuple[str, str]]:
    """Names and SQL: the queue's own tables, then ours."""
    files = sorted(
        (
            each
            for each in (resources.files("app.jobs") / "sql").iterdir()
            if each.name.endswith(".sql")
        ),
        key=lambda each: each.name,
    )
    ours = [(each.name, each.read_text(encoding="utf-8")) for each in files]
    return [("000_procrastinate_3.10", SchemaManager.get_schema()), *ours]
