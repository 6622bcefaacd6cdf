"""Parse schemas of Protocol Buffers, which registries deliver as text, into descriptors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<token>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[A-Za-z_.][A-Za-z0-9_.]*|[0-9][A-Za-z0-9_.+-]*|[{}\[\]()<>;,=:+-])""",
    re.VERBOSE | re.DOTALL,
)
_MOST_TOKENS = 500_000
_DEEPEST = 60
_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
_LABELS = {"optional": 1, "required": 2, "repeated": 3}
_REPEATED = 3


def parse_proto(name: str, text: str) -> FileDescriptorProto:
    """Parse the text of a schema. Raises ValueError if it is not a schema."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name=name, syntax="proto2")
    _Parser(text).file(file)
    return file


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._proto3 = False
        self._edition = False

    def file(self, file: FileDescriptorProto) -> None:
        while self._at < len(self._tokens):
            word = self._word()
            if word in ("syntax", "edition"):
                self._version(file, word)
            elif word == "package":
                file.package = self._next()
                self._expect(";")
            elif word == "import":
                if self._peek() in ("public", "weak", "option"):
                    self._next()
                file.dependency.append(self._string())
                self._expect(";")
            elif word == "message":
                self._message(file.message_type.add(), 0)
            elif word == "enum":
                self._enum(file.enum_type.add())
            elif word == "option":
                self._option(file)
            elif word != ";":
                self._skip()

    def _version(self, file: FileDescriptorProto, word: str) -> None:
        from google.protobuf.descriptor_pb2 import Edition

        self._expect("=")
        version = self._string()
        self._expect(";")
        self._edition = word == "edition"
        self._proto3 = not self._edition and version != "proto2"
        file.syntax = "editions" if self._edition else "proto3" if self._proto3 else "proto2"
        if self._edition:
            file.edition = Edition.Value(f"EDITION_{version}")

    def _message(self, message: DescriptorProto, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("messages within one another too deep")
        message.name = self._next()
        self._expect("{")
        while (word := self._word()) != "}":
            if word == "message":
                self._message(message.nested_type.add(), depth + 1)
            elif word == "enum":
                self._enum(message.enum_type.add())
            elif word == "oneof":
                self._oneof(message)
            elif word == "option":
                self._option(message)
            elif word in ("reserved", "extensions", "extend"):
                self._skip()
            elif word != ";":
                self._field(message, word)
        self._number_optionals(message)

    def _number_optionals(self, message: DescriptorProto) -> None:
        """Give each optional field of proto3 its implicit oneof; these come after the declared ones."""
        for field in message.field:
            if field.proto3_optional:
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{field.name}")

    def _oneof(self, message: DescriptorProto) -> None:
        index = len(message.oneof_decl)
        oneof = message.oneof_decl.add(name=self._next())
        self._expect("{")
        while (word := self._next()) != "}":
            if word == "option":
                self._option(oneof)
            elif word != ";":
                self._field(message, word).oneof_index = index

    def _field(self, message: DescriptorProto, word: str) -> Any:
        label = _LABELS.get(word)
        kind = word if label is None else self._next()
        if kind == "map" and self._peek() == "<":
            return self._map(message)
        if kind == "group":
            raise ValueError("groups are not read")
        field = message.field.add(label=label or 1)
        field.proto3_optional = self._proto3 and word == "optional"
        self._set_type(field, kind)
        self._read_name_and_number(field)
        return field

    def _set_type(self, field: Any, kind: str) -> None:
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type_name = kind  # a message or an enum: resolved once the whole file is read

    def _read_name_and_number(self, field: Any) -> None:
        field.name = self._next()
        self._expect("=")
        field.number = int(self._next(), 0)
        if self._peek() == "[":
            self._options(field)
        self._expect(";")

    def _options(self, field: Any) -> None:
        depth = 0
        while True:
            token = self._next()
            depth += (token in "[{(") - (token in "]})")
            if token == "packed" and depth == 1 and self._peek() == "=":
                self._next()
                field.options.packed = self._next() == "true"
            elif depth == 1:
                self._features(field, token)
            if depth == 0:
                return

    def _map(self, message: DescriptorProto) -> Any:
        self._expect("<")
        key = self._next()
        self._expect(",")
        value = self._next()
        self._expect(">")
        field = message.field.add(label=_REPEATED)
        self._read_name_and_number(field)
        entry = message.nested_type.add(name=f"{''.join(map(_titled, field.name.split('_')))}Entry")
        entry.options.map_entry = True
        self._set_type(entry.field.add(name="key", number=1, label=1), key)
        self._set_type(entry.field.add(name="value", number=2, label=1), value)
        field.type_name = entry.name
        field.type = 11
        return field

    def _enum(self, enum: Any) -> None:
        enum.name = self._next()
        self._expect("{")
        while (word := self._next()) != "}":
            if word == "option":
                if self._peek() == "allow_alias":
                    enum.options.allow_alias = True
                self._option(enum)
            elif word == "reserved":
                self._skip()
            elif word != ";":
                self._expect("=")
                sign = -1 if self._peek() == "-" and self._next() else 1
                enum.value.add(name=word, number=sign * int(self._next(), 0))
                while self._next() != ";":
                    pass

    def _option(self, holder: Any) -> None:
        self._features(holder, self._next())
        self._skip()

    def _features(self, holder: Any, name: str) -> None:
        """Take what an option says of the features of an edition; `name` has been read of it, and others are left."""
        if not self._edition:
            return
        if name.startswith("features."):
            self._expect("=")
            _set_feature(holder, name.removeprefix("features."), self._next())
        elif name == "features":
            self._expect("=")
            self._expect("{")
            depth = 1
            while depth:
                token = self._next()
                depth += (token in "[{") - (token in "]}")
                if depth == 1 and self._peek() == ":" and self._next():
                    _set_feature(holder, token, self._next())

    def _word(self) -> str:
        """Return the next token, without the word before it that says who sees what it defines."""
        word = self._next()
        return self._next() if word in ("export", "local") and self._peek() in ("message", "enum") else word

    def _skip(self) -> None:
        """Skip a statement, with the blocks in it."""
        depth = 0
        while True:
            token = self._next()
            depth += (token == "{") - (token == "}")
            if depth <= 0 and token in (";", "}"):
                return

    def _string(self) -> str:
        return self._next()[1:-1]

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise ValueError("it ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise ValueError(f"{token!r} is expected, and not {found!r:.40}")


def _set_feature(holder: Any, name: str, value: str) -> None:
    known = holder.options.features.DESCRIPTOR.fields_by_name.get(name)
    if known is None:
        return
    if value not in known.enum_type.values_by_name:
        raise ValueError(f"features.{name} cannot be {value:.40}")
    setattr(holder.options.features, name, known.enum_type.values_by_name[value].number)


def _titled(part: str) -> str:
    return part[:1].upper() + part[1:]


def _tokens(text: str) -> Iterator[str]:
    at = count = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found or found.end() == at or count > _MOST_TOKENS:
            raise ValueError(f"no schema at character {at}")
        at = found.end()
        if found["token"] is not None:
            count += 1
            yield found["token"]
