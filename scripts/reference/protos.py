"""The gRPC services and their messages, with the comments of the .proto files."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from reference.tables import table

ROOT = Path(__file__).resolve().parents[2] / "protos"
API = "turnstream/api/v1"
MESSAGE, ENUM, SERVICE, FIELD, VALUE = 4, 5, 6, 2, 2
"""Numbers by which a path into a file's description begins, or goes on in a message (descriptor.proto)."""

Comments = Mapping[tuple[int, ...], str]


def page() -> Iterator[str]:
    """docs/reference/protos.md"""
    yield "Package `turnstream.api.v1`, in `protos/`. Clients use `Conversations`; the services use the others among"
    yield "themselves. Every server has health checks and reflection.\n"
    files = [file for file in _described() if file.name.startswith(API)]
    yield "## Services\n"
    for file in files:
        yield from _services(file, _comments(file))
    for file in files:
        yield f"## {file.name.removeprefix(f'{API}/')}\n"
        yield from _messages(file, _comments(file))


def _described() -> list[FileDescriptorProto]:
    names = sorted(str(path.relative_to(ROOT)) for path in (ROOT / API).glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "all.pb"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", "--include_source_info"]
        subprocess.run([*command, "--include_imports", f"--descriptor_set_out={out}", *names], check=True)
        return sorted(FileDescriptorSet.FromString(out.read_bytes()).file, key=lambda file: file.name)


def _comments(file: FileDescriptorProto) -> Comments:
    places = file.source_code_info.location
    return {tuple(at.path): " ".join((at.leading_comments + at.trailing_comments).split()) for at in places}


def _services(file: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    for number, service in enumerate(file.service):
        yield f"### {service.name}\n"
        if told := comments.get((SERVICE, number)):
            yield f"{told}\n"
        rows = []
        for place, method in enumerate(service.method):
            answer = f"{'stream of ' * method.server_streaming}{_link(method.output_type)}"
            rows.append(
                (f"`{method.name}`", _link(method.input_type), answer, comments.get((SERVICE, number, 2, place), ""))
            )
        yield from table("method", "takes", "answers", "meaning", rows=rows)


def _messages(file: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    for number, message in enumerate(file.message_type):
        yield from _message(message, message.name, (MESSAGE, number), comments)
    for number, enum in enumerate(file.enum_type):
        yield from _enum(enum, enum.name, (ENUM, number), comments)


def _message(message: DescriptorProto, name: str, path: tuple[int, ...], comments: Comments) -> Iterator[str]:
    yield f"### {name}\n"
    if told := comments.get(path):
        yield f"{told}\n"
    entries = {f"{name}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    rows = [
        (f"`{field.name}`", _type(field, entries), _oneof(message, field) + comments.get((*path, FIELD, place), ""))
        for place, field in enumerate(message.field)
    ]
    if rows:
        yield from table("field", "type", "meaning", rows=rows)
    else:
        yield "It has no fields.\n"
    for place, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, f"{name}.{nested.name}", (*path, 3, place), comments)
    for place, enum in enumerate(message.enum_type):
        yield from _enum(enum, f"{name}.{enum.name}", (*path, 4, place), comments)


def _enum(enum: EnumDescriptorProto, name: str, path: tuple[int, ...], comments: Comments) -> Iterator[str]:
    yield f"### {name}\n"
    if told := comments.get(path):
        yield f"{told}\n"
    rows = ((f"`{value.name}`", comments.get((*path, VALUE, place), "")) for place, value in enumerate(enum.value))
    yield from table("value", "meaning", rows=rows)


def _oneof(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    if not field.HasField("oneof_index") or field.proto3_optional:
        return ""
    return f"One of `{message.oneof_decl[field.oneof_index].name}`. "


def _type(field: FieldDescriptorProto, entries: Mapping[str, DescriptorProto]) -> str:
    for name, entry in entries.items():
        if field.type_name.endswith(f".{name}"):
            key, value = entry.field
            return f"map of {_plain(key)} to {_plain(value)}"
    repeated = "list of " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    return f"{repeated}{_plain(field)}{', optional' if field.proto3_optional else ''}"


def _plain(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return _link(field.type_name)
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _link(name: str) -> str:
    """A message of ours by its heading on this page, another by its name."""
    short = name.removeprefix(".turnstream.api.v1.")
    if short == name:
        return f"`{name.removeprefix('.')}`"
    return f"[{short}](#{short.lower().replace('.', '')})"
