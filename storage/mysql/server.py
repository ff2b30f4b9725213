"""The MySQL server: where it is, logging in, and what `bot check` asks it."""

import ssl
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from storage.errors import StorageError

LONGEST_ERROR = 300  #: characters
_CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the history goes."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    ca_file: str = ""  #: PEM of the authority that the server's certificate has to be signed by; "" for the system's
    is_tls_required: bool = False  #: with a certificate that is verified; else TLS where the server offers it


def connect(server: Server, reply_timeout_s: float) -> "Connection[Cursor]":
    """Log in; `reply_timeout_s` is how long one reply of the server may take.

    Raises
    ------
    pymysql.MySQLError, OSError
        The server cannot be reached, refuses, or its certificate is not what it should be.
    """
    tls: dict[str, Any] = {}
    if server.is_tls_required or server.ca_file:
        tls = {"ssl": ssl.create_default_context(cafile=server.ca_file or None)}
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password.encode(),  # PyMySQL would take Latin-1, the server takes UTF-8
        database=server.database,
        charset="utf8mb4",
        sql_mode="STRICT_ALL_TABLES",
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=reply_timeout_s,
        write_timeout=reply_timeout_s,
        **tls,
    )


def server_version(server: Server) -> str:
    """Log in and return the server's version.

    Raises
    ------
    StorageError
        It cannot be had, with the server's words.
    """
    try:
        with closing(connect(server, reply_timeout_s=_CONNECT_TIMEOUT_S)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            (found,) = cursor.fetchone() or ("",)
    except (pymysql.MySQLError, OSError) as error:
        raise StorageError(str(error)[:LONGEST_ERROR]) from error
    return str(found)
