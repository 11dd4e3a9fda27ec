#!/usr/bin/env python3
"""Prints crates/kafka-admin/src/raw/messages.txt: the layouts of Kafka's messages, as the Java client's jar describes them.

  scripts/messages.py kafka-clients-4.1.0.jar > crates/kafka-admin/src/raw/messages.txt

Only facts are taken: names, types, versions, tags, defaults. scripts/kafka.sh fetches a Kafka with the jar in its libs/.
"""
import json
import re
import sys
import zipfile

HEAD = """\
# The messages of Apache Kafka {version}: a row per API, then its request and its response. Made by scripts/messages.py.
#
#   api KEY NAME VERSIONS [flexible VERSIONS] [unstable VERSION]
#     NAME TYPE [VERSIONS] [null VERSIONS] [tag NUMBER] [= DEFAULT]
#
# Fields stand in the order of the wire; those of a structure are indented below it. TYPE is a plain type, `{{}}` for a
# structure, or an array of either: `[]int32`, `[{{}}]`. VERSIONS is `3+`, `0-4` or `2`; a field without any is in all.
# `flexible` versions write compact lengths and tagged fields (KIP-482). `null` names the versions that allow null, `tag`
# marks a tagged field. Without DEFAULT it is 0, false, empty. `unstable` is a version that brokers offer only when told to.
"""


def messages(jar):
    """Every request and response that has versions, by (key, kind)."""
    found = {}
    for name in jar.namelist():
        if re.fullmatch(r"common/message/\w+(Request|Response)\.json", name):
            text = re.sub(r"^\s*//.*$", "", jar.read(name).decode(), flags=re.MULTILINE)
            message = json.loads(text)
            if "apiKey" in message and message["validVersions"] != "none":
                found[message["apiKey"], message["type"]] = message
    return found


def snake(name):
    """`IsKRaftController` becomes `is_kraft_controller`, as in Kafka's own schemas."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def default(field):
    value = str(field.get("default", "")).lower()
    if value.startswith("0x"):
        value = str(int(value, 16))
    return "" if value in ("", "0", "false") else f" = {value}"


def field_type(name):
    plain = name.removeprefix("[]")
    if plain[0].isupper():
        return "{}" if plain == name else "[{}]"
    return name


def rows(fields, structures, valid, depth):
    for field in fields:
        row = f"{'  ' * depth}{snake(field['name'])} {field_type(field['type'])}"
        if field["versions"] not in ("0+", valid):
            row += f" {field['versions']}"
        if field.get("nullableVersions", "none") != "none":
            row += f" null {field['nullableVersions']}"
        if "tag" in field:
            assert field["taggedVersions"] == field["versions"], field
            row += f" tag {field['tag']}"
        yield row + default(field)
        structure = field["type"].removeprefix("[]")
        yield from rows(field.get("fields", structures.get(structure, [])), structures, valid, depth + 1)


def main():
    jar = zipfile.ZipFile(sys.argv[1])
    found = messages(jar)
    version = re.search(r"-(\d[\d.]*)\.jar$", sys.argv[1]).group(1)
    print(HEAD.format(version=version), end="")
    for key in sorted({key for key, _ in found}):
        request, response = found[key, "request"], found[key, "response"]
        valid, flexible = request["validVersions"], request["flexibleVersions"]
        assert (valid, flexible) == (response["validVersions"], response["flexibleVersions"]), key
        row = f"\napi {key} {request['name'].removesuffix('Request')} {valid}"
        if flexible != "none":
            row += f" flexible {flexible}"
        if request.get("latestVersionUnstable"):
            row += f" unstable {valid.split('-')[-1]}"
        print(row)
        for kind, message in ("request", request), ("response", response):
            print(f"  {kind}")
            structures = {one["name"]: one["fields"] for one in message.get("commonStructs", [])}
            for line in rows(message["fields"], structures, valid, 2):
                print(line)


main()
