"""Data types of columns, and values that Python has no type for.

Types nest, print as SQL, and are equal if they print alike::

    DataTypes.ARRAY(DataTypes.DECIMAL(10, 2))        # ARRAY<DECIMAL(10,2)>
    DataTypes.INT().not_null()                       # INT NOT NULL
    DataType("MAP<STRING,ROW<x INT,y INT>>")         # a type from its text

A text may stand wherever a type is asked for. In it a field's name that is no plain word stands between backquotes,
with each of its own doubled: ``ROW<`two words` INT>``.

Values of each type, the same in rows, keys and filters; and what Arrow data may have in their place:

=================  ==========================================================  ==================================
BOOLEAN            bool                                                        bool
TINYINT … BIGINT   int, never a bool                                           integers of any width
FLOAT, DOUBLE      float; an int if it is exact                                floats, integers if they are exact
CHAR, STRING       str                                                         strings in any layout
BINARY, BYTES      bytes; bytearray and memoryview are taken                   binaries in any layout
DECIMAL            decimal.Decimal; an int is taken                            decimals, integers
DATE               datetime.date, datetime64 that counts days or more          date32, date64
TIME               datetime.time, to the millisecond                           time32, time64
TIMESTAMP          naive datetime.datetime, datetime64 that counts hours or    timestamps without a zone
                   less, or `Timestamp`
TIMESTAMP_LTZ      aware datetime.datetime, or `Timestamp`; UTC on the way     timestamps with a zone
                   out
ARRAY              list; any iterable is taken                                 lists in any layout
MAP                dict; a list of pairs is taken, and given if the keys are   maps
                   ARRAYs, MAPs or ROWs
ROW                dict; a list or tuple is taken                              structs, their fields by name
=================  ==========================================================  ==================================

None is null, and so are ``pandas.NA``, ``NaT``, and a NaN in a column that is not FLOAT or DOUBLE. Scalars of NumPy and
pandas count as what they hold. In Arrow data dictionaries, runs and columns of nulls count as their values, and what no
row shows, outside a slice or under a null, is neither looked at nor stored. A FLOAT takes the nearest value to a wider
number; any other value with more digits than its column stores raises `fluss.DataError`, as does text that is no UTF-8,
or a time outside the day. A time without a zone is never taken for UTC, but under the names of pyfluss. On the way out,
nanoseconds beyond ``datetime`` are cut, unless a row is read with ``exact=True``.
"""

from collections.abc import Iterable, Mapping

from fluss._fluss import DataType, Timestamp

__all__ = ["DataType", "DataTypes", "Timestamp"]


class DataTypes:
    """Makes types. All take nulls until ``.not_null()`` is asked for."""

    @staticmethod
    def BOOLEAN() -> DataType:
        """True or false."""
        return DataType("BOOLEAN")

    @staticmethod
    def TINYINT() -> DataType:
        """An integer of 8 bits."""
        return DataType("TINYINT")

    @staticmethod
    def SMALLINT() -> DataType:
        """An integer of 16 bits."""
        return DataType("SMALLINT")

    @staticmethod
    def INT() -> DataType:
        """An integer of 32 bits."""
        return DataType("INT")

    @staticmethod
    def BIGINT() -> DataType:
        """An integer of 64 bits."""
        return DataType("BIGINT")

    @staticmethod
    def FLOAT() -> DataType:
        """A floating-point number of 32 bits."""
        return DataType("FLOAT")

    @staticmethod
    def DOUBLE() -> DataType:
        """A floating-point number of 64 bits."""
        return DataType("DOUBLE")

    @staticmethod
    def CHAR(length: int) -> DataType:
        """Text of at most ``length`` characters."""
        return DataType(f"CHAR({length})")

    @staticmethod
    def STRING() -> DataType:
        """Text of any length."""
        return DataType("STRING")

    @staticmethod
    def BINARY(length: int) -> DataType:
        """Exactly ``length`` bytes."""
        return DataType(f"BINARY({length})")

    @staticmethod
    def BYTES() -> DataType:
        """Bytes of any length."""
        return DataType("BYTES")

    @staticmethod
    def DECIMAL(precision: int = 10, scale: int = 0) -> DataType:
        """A decimal number of ``precision`` digits (1 to 38), ``scale`` of them after the point."""
        return DataType(f"DECIMAL({precision},{scale})")

    @staticmethod
    def DATE() -> DataType:
        """A day."""
        return DataType("DATE")

    @staticmethod
    def TIME(precision: int = 0) -> DataType:
        """A time of day with ``precision`` (0 to 9) digits of the second; at most 3 are stored."""
        return DataType(f"TIME({precision})")

    @staticmethod
    def TIMESTAMP(precision: int = 6) -> DataType:
        """A date and time without a zone, with ``precision`` (0 to 9) digits of the second."""
        return DataType(f"TIMESTAMP({precision})")

    @staticmethod
    def TIMESTAMP_LTZ(precision: int = 6) -> DataType:
        """An instant, with ``precision`` (0 to 9) digits of the second."""
        return DataType(f"TIMESTAMP_LTZ({precision})")

    @staticmethod
    def ARRAY(element: DataType | str) -> DataType:
        """A list of elements."""
        return DataType.array(element)

    @staticmethod
    def MAP(key: DataType | str, value: DataType | str) -> DataType:
        """Keys, which are never null, and values."""
        return DataType.map(key, value)

    @staticmethod
    def ROW(fields: Mapping[str, DataType | str] | Iterable[tuple[str, DataType | str]]) -> DataType:
        """A nested row of named fields: a dict, or pairs of name and type."""
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        return DataType.row(list(pairs))
