"""Log of a user's own files: events and optional items and users, from CSV, TSV or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.calendar import check_country
from seasonrec.data.features import Kind
from seasonrec.data.files.calendar_file import calendar_identity
from seasonrec.data.files.column_lists import listed
from seasonrec.data.files.event_file import EventColumns, EventFile
from seasonrec.data.files.feature_columns import read_features
from seasonrec.data.files.id_spelling import IdRule
from seasonrec.data.files.item_file import items_with_events, read_items, require_overlap
from seasonrec.data.files.reading import check_file, column_names, form_notes, read_columns, require_columns
from seasonrec.data.files.text_layout import TextForm, separator_of
from seasonrec.data.files.times import TimeReader, check_time_options, time_identity
from seasonrec.data.files.values import read_ids
from seasonrec.data.preparation.checks import check_behaviours, check_variety
from seasonrec.data.preparation.coded import CodedEvents, CodedTables, EventCoder
from seasonrec.data.tables import RuleReport, SourceTables
from seasonrec.errors import UserError
from seasonrec.ranges import AtLeast, Count, ranged

Column = str | Annotated[int, AtLeast(1)]
"""Name of a column, or its number from 1 in a file without a header."""

LATER_OPTIONS: dict[str, object] = {
    "calendar": None,
    "behaviour_column": None,
    "features": (),
    "feature_kinds": {},
    "separator": None,
    "header": True,
    "encoding": "utf-8",
    "ids": "as_is",
}
"""Options that belong to the identity only where they differ from this default, so that older prepared data and numbers
stay valid."""

_ALWAYS = object()
_EVENT_KEYS = ("user_column", "item_column", "time_column", "value_column", "quantity_column", "behaviour_column")


@ranged("data")
@dataclass
class Table:
    """Dataset of files with a column mapping.

    The report counts the rows of each cleaning rule. Rows whose quantity is unknown or not above zero are dropped. Rows
    of the same user, item and second are merged and their values added. If the items' or users' file has several rows
    for one id, the first is kept. Texts of more than 10,000 characters are cut. Ids are text: ``7`` and ``07`` are two
    items.

    Args:
        events: File of events, one row per event: CSV and other text with separators, JSON lines, Parquet or Feather.
        items: File of items, one row per item; None without one.
        users: File of users, one row per user; None without one. Its other columns make slices of the evaluation.
        user_column: Column of the user, in the events and in the users' file.
        item_column: Column of the item, in the events and in the items' file.
        time_column: Column of the time.
        value_column: Column of the value of an event, for example its price; None without one.
        quantity_column: Column of a quantity that must be above zero; None without one.
        behaviour_column: Column of the behaviour of an event, for example view, cart or buy; None without one. It needs
            ``protocol.target_behaviour``.
        text_column: Column of the items' text; None uses ``text`` if the file has it.
        category_column: Column of the items' category; None uses ``category`` if the file has it.
        features: Columns of the items' file that ``item_encoder=features`` reads, for example ``[price, brand]``:
            numbers or categories, as their values show.
        feature_kinds: ``number`` or ``category`` for columns of ``features`` whose values do not show it, for example
            ``{brand_id: category}``.
        time_format: ``s``, ``ms``, ``us`` or ``ns`` since 1970, ``iso``, a pattern such as ``%d/%m/%Y %H:%M``, or
            ``auto``, which recognises all but patterns and reports its choice.
        min_item_events: Items with fewer event rows over the whole log are left out; this belongs to the protocol.
        country: ISO 3166 code of the holidays; None for no holidays.
        timezone: IANA zone in which days are counted, and of times that carry no offset.
        calendar: File of occasions, further holidays of your own, see
            :func:`~seasonrec.data.files.calendar_file.read_calendar`; None without one.
        separator: Mark between the columns of files of text, or one of the words ``tab``, ``comma``, ``semicolon``,
            ``pipe`` and ``space``; None finds it in the first line of each file.
        header: Whether the first line of the events' file names its columns. Without a header their numbers from 1 are
            the names: ``user_column=1``. The other files always need one.
        encoding: Encoding of the files of text, such as ``latin-1``, where no byte order mark tells it.
        ids: ``as_is`` reads ids without change and notes suspicious spellings. ``strip`` takes away blanks at both ends
            and the ``.0`` of whole numbers, and composes letters (Unicode NFC), in all files and lists of ids.

    Raises:
        ValueError: If an option is invalid.
    """

    events: str
    items: str | None = None
    users: str | None = None
    user_column: Column = "user_id"
    item_column: Column = "item_id"
    time_column: Column = "timestamp"
    value_column: Column | None = None
    quantity_column: Column | None = None
    behaviour_column: Column | None = None
    text_column: str | None = None
    category_column: str | None = None
    features: tuple[str, ...] = ()
    feature_kinds: dict[str, Kind] = field(default_factory=dict)
    time_format: str = "auto"
    min_item_events: Count = 1
    country: str | None = None
    timezone: str = "UTC"
    calendar: str | None = None
    separator: str | None = None
    header: bool = True
    encoding: str = "utf-8"
    ids: IdRule = "as_is"

    def __post_init__(self) -> None:
        self.separator = separator_of(self.separator)
        self._form.check()
        check_time_options(self.time_format, self.timezone)
        if self.country is not None:
            check_country(self.country)
        for key in _EVENT_KEYS:
            if getattr(self, key) is not None:
                setattr(self, key, str(getattr(self, key)))
        columns = {key: getattr(self, key) for key in _EVENT_KEYS[:3]}
        if len(set(columns.values())) < len(columns):
            got = ", ".join(f"data.{key}={value}" for key, value in columns.items())
            raise UserError(
                f"user, item and time must be three different columns, got {got}; name a separate column for each."
            )
        if not self.header:
            self._check_numbers()
        self.features = tuple(self.features)  # yaml knows lists only
        if strangers := [name for name in self.feature_kinds if name not in self.features]:
            raise UserError(
                f"data.feature_kinds must name columns of data.features={list(self.features)}, got {strangers}."
            )
        for name in ("text_column", "category_column", "features"):
            if getattr(self, name) and self.items is None:
                raise UserError(
                    f"data.{name} is a column of the items' file, got {getattr(self, name)!r} without data.items."
                )

    def identity(self) -> dict[str, object]:
        files = {key: self._path(key) for key in ("events", "items", "users")}
        hashes = {key: None if path is None else file_sha256(path) for key, path in files.items()}
        options = {name: value for name, value in asdict(self).items() if LATER_OPTIONS.get(name, _ALWAYS) != value}
        return {
            "dataset": "table",
            "rules": 1,
            **options,
            **hashes,
            **time_identity(self.time_format),
            **calendar_identity(self.calendar),
        }

    def tables(self) -> SourceTables:
        """Reads everything into memory; :meth:`coded_tables` is better for large files."""
        coded = self.coded_tables(None)
        return SourceTables(coded.events.frame(), coded.items, coded.users, coded.rules, coded.notes)

    def coded_tables(self, folder: Path | None, progress: Callable[[str], None] = lambda line: None) -> CodedTables:
        report = RuleReport()
        notes: list[str] = []
        events, item_type = self._events(report, notes, folder, progress)
        check_variety(events, str(self._path("events")))
        check_behaviours(events, str(self._path("events")))
        items = self._items(events.items, item_type, report, notes)
        users = self._users(events.users, report, notes)
        return CodedTables(events, items, users, tuple(report.rules), tuple(notes))

    def newer_events(self, report: RuleReport, notes: list[str]) -> pl.DataFrame:
        """Reads events that extend a log, without the limit ``min_item_events``; fills the report and the notes."""
        return replace(self, min_item_events=1)._events(report, notes)[0].frame()

    def of_newer(self, events: str) -> Table:
        """Returns the source of a file of newer events in the same form, without items, users and calendar."""
        return replace(
            self,
            events=events,
            items=None,
            users=None,
            text_column=None,
            category_column=None,
            features=(),
            feature_kinds={},
            calendar=None,
        )

    @property
    def _form(self) -> TextForm:
        return TextForm(self.separator, self.header, self.encoding)

    def _check_numbers(self) -> None:
        """Checks that the columns of events without a header are numbers."""
        for key in _EVENT_KEYS:
            name = getattr(self, key)
            if name is not None and not (name.isdecimal() and int(name) > 0):
                raise UserError(
                    f"data.{key} must be the number of a column, from 1, as data.header=false, got {name!r}; give all "
                    "of them, e.g. data.user_column=1 data.item_column=2 data.time_column=3."
                )

    def _path(self, key: str) -> Path | None:
        name = getattr(self, key)
        if name is None:
            return None
        path = Path(name).expanduser().resolve()
        check_file(path, f"data.{key}")
        return path

    def _events(
        self,
        report: RuleReport,
        notes: list[str],
        folder: Path | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> tuple[CodedEvents, pl.DataType | None]:
        """Returns the cleaned events and the type of the item ids in their file (None in a text file)."""
        path = self._path("events")
        assert path is not None  # events is not optional
        named = {f"data.{key}": getattr(self, key) for key in _EVENT_KEYS if getattr(self, key) is not None}
        require_columns(path, named.items(), self._form)
        columns = EventColumns(*(getattr(self, key) for key in _EVENT_KEYS))
        remedy = "data.value_column, quantity_column and behaviour_column name columns of events"
        notes += [*form_notes(path, self._form), *_unread(path, columns, remedy, self._form)]
        times = TimeReader(self.time_format, self.timezone, f"{path}: column {self.time_column}")
        file, coder = (
            EventFile(path, columns, times, self._form, self.ids),
            EventCoder(folder, with_behaviours=columns.behaviour is not None),
        )
        notes.extend(file.read(coder, progress))
        if self.quantity_column is not None:
            report.count("quantity not above zero, or not known", file.without_quantity)
        events, rare = coder.finish(self.min_item_events)
        if self.min_item_events > 1:
            report.count(f"item with fewer than {self.min_item_events} event rows", rare)
        return events, file.item_type

    def _items(
        self, ids: pl.Series, item_type: pl.DataType | None, report: RuleReport, notes: list[str]
    ) -> pl.DataFrame:
        known = ids.alias("item_id")
        path = self._path("items")
        if path is None:
            empty = pl.lit(None, pl.String)
            return known.to_frame().with_columns(empty.alias("text"), empty.alias("category"))
        wanted = {"text": self.text_column, "category": self.category_column}
        form, key = replace(self._form, header=True), str(self.item_column)
        notes += form_notes(path, form)
        items = read_items(path, key, wanted, item_type, notes, form, self.ids)
        used = (key, self.text_column or "text", self.category_column or "category", *self.features)
        notes += _unread(path, used, "data.features=[...] gives columns of the items to item_encoder=features", form)
        if self.features:
            items = items.hstack(read_features(path, self.features, self.feature_kinds, notes, form))
        items = report.keep(items, pl.col("item_id").is_first_distinct(), "further row of an item in the items' file")
        require_overlap(known, items["item_id"], path, "item")
        return items_with_events(known, items, notes)

    def _users(self, known: pl.Series, report: RuleReport, notes: list[str]) -> pl.DataFrame | None:
        path = self._path("users")
        if path is None:
            return None
        form, key = replace(self._form, header=True), str(self.user_column)
        notes += form_notes(path, form)
        require_columns(path, [("data.user_column", key)], form)
        raw = read_columns(path, column_names(path, form), form)
        ids = read_ids(raw, key, path, self.ids).alias("user_id")
        users = raw.drop({key, "user_id"} & set(raw.columns)).insert_column(0, ids)
        require_overlap(known, users["user_id"], path, "user")
        return report.keep(users, pl.col("user_id").is_first_distinct(), "further row of a user in the users' file")


def _unread(path: Path, used: Sequence[str | None], remedy: str, form: TextForm) -> list[str]:
    """Returns a note on the columns of a file that nothing reads."""
    strangers = [column for column in column_names(path, form) if column and column not in used]
    return [f"{path}: nothing reads the columns {listed(strangers)}; {remedy}"] if strangers else []
