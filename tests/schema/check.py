#!/usr/bin/python3
"""Check JSON Lines of `mbtrace monitor` against the schema: check.py [--whole] [--histograms] FILE|-…

Beside the schema: percentiles ascend between min and max, buckets ascend and hold count values, and time goes forward.
--whole: the file is one whole run, its header first and its summary last, with as many samples as that
says. --histograms: every distribution that has values has buckets. Prints one line, or what is wrong and exits 1.
"""

import argparse
import json
import pathlib
import sys

import jsonschema

SCHEMA = json.loads((pathlib.Path(__file__).parent / "monitor.schema.json").read_text())
PARTS = ["min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"]


def validators():
    """One for each type of record: their messages name what is wrong, those of a choice of four do not."""
    result = {}
    for name in ("header", "sample", "alert", "summary"):
        schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
        jsonschema.Draft202012Validator.check_schema(schema)
        result[name] = jsonschema.Draft202012Validator(schema)
    return result


def distributions(value, path=""):
    """(path, distribution) for each one below a value."""
    if isinstance(value, dict):
        if "p999_ns" in value:
            yield path, value
            return
        for key, inner in value.items():
            yield from distributions(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from distributions(inner, f"{path}[{i}]")


def check_distribution(path, d, histograms):
    values = [d[part] for part in PARTS if d[part] is not None]
    if d["count"] == 0 and values:
        yield f"{path}: bounds or percentiles of nothing"
    if d["count"] and (d["min_ns"] is None or d["max_ns"] is None):
        yield f"{path}: values without bounds"
    if values != sorted(values):
        yield f"{path}: percentiles do not ascend: {values}"
    buckets = d.get("buckets")
    if buckets is None:
        if histograms and d["count"]:
            yield f"{path}: no buckets"
        return
    uppers = [upper for upper, _ in buckets]
    if uppers != sorted(set(uppers)):
        yield f"{path}: buckets do not ascend"
    if sum(count for _, count in buckets) != d["count"]:
        yield f"{path}: buckets do not hold count values"


def refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def unique(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a member is there twice")
    return dict(pairs)


class Checker:
    def __init__(self, options):
        self.options = options
        self.validators = validators()

    def check_line(self, line):
        """Each thing that is wrong with the line; the record is kept in self.record."""
        self.record = None
        if not line.endswith("\n"):
            yield "cut off: no newline"
        try:
            record = json.loads(line, object_pairs_hook=unique, parse_constant=refuse_constant)
        except ValueError as error:
            yield f"not JSON: {error}"
            return
        kind = record.get("type") if isinstance(record, dict) else None
        if kind not in self.validators:
            yield f"no such type of record: {kind!r}"
            return
        self.record = record
        for error in self.validators[kind].iter_errors(record):
            yield f"{error.json_path}: {error.message[:300]}"
            return
        for path, d in distributions(record):
            yield from check_distribution(path, d, self.options.histograms)

    def check_run(self, records):
        kinds = [record["type"] for record in records]
        if "header" in kinds[1:]:
            yield "a header that is not first"
        if "summary" in kinds[:-1]:
            yield "a summary that is not last"
        times = [record["elapsed_ns"] for record in records if record["type"] == "sample"]
        if times != sorted(times):
            yield "time goes backwards"
        if not self.options.whole:
            return
        if not kinds or kinds[0] != "header" or kinds[-1] != "summary":
            yield "not a whole run: it has to begin with a header and end with a summary"
        elif records[-1]["samples"] != len(times):
            yield f"the summary counts {records[-1]['samples']} samples of {len(times)}"

    def check_file(self, name):
        """The number of records, and the list of what is wrong."""
        problems, records = [], []
        # Bytes, so that text that is not UTF-8 is an error wherever it stands.
        with sys.stdin.buffer if name == "-" else open(name, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    problems.append(f"{name}:{number}: {error}")
                    continue
                problems += [f"{name}:{number}: {problem}" for problem in self.check_line(text)]
                if self.record:
                    # Only what check_run() looks at: files are large.
                    keep = ("type", "elapsed_ns", "samples")
                    records.append({key: self.record[key] for key in keep if key in self.record})
        if not problems:
            problems = [f"{name}: {problem}" for problem in self.check_run(records)]
        return len(records), problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--histograms", action="store_true")
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    checker = Checker(options)
    total, problems = 0, []
    for name in options.files:
        count, found = checker.check_file(name)
        total += count
        problems += found
    for problem in problems[:50]:
        print(problem)
    if not problems:
        print(f"{total} records are as the schema says")
    sys.exit(1 if problems else 0)


main()
