"""What a destination of the protocol has to do, seen by DuckDB and pyiceberg.

    .venv-lakehouse/bin/python tests/lakehouse/rules.py
"""

import json
import subprocess
import unittest
from datetime import date, datetime, timezone

from lake import BINARY, Lake, errors, record, state, states, status, stream


class Case(unittest.TestCase):
    """Each test has a lake of its own."""

    config: dict = {}

    def setUp(self):
        context = Lake.fresh(**self.config)
        self.lake = self.enterContext(context)


class States(Case):
    def test_every_state_comes_back_in_order_with_all_its_fields_and_counts(self):
        lines = [
            record({"id": 1}),
            record({"id": 2}),
            state({"c": 1}, id=7, sourceStats={"recordCount": 2.0}, other={"x": None}),
            state({"c": 1.50, "big": 12345678901234567890123}),
            record({"id": 3}),
            state({"c": 3}),
            status(),
        ]
        messages = self.lake.write(stream(), lines)
        found = [m["state"] for m in messages if m["type"] == "STATE"]
        self.assertEqual([s.pop("destinationStats") for s in found], [{"recordCount": 2.0}, {"recordCount": 0.0}, {"recordCount": 1.0}])
        self.assertEqual(found, [json.loads(line)["state"] for line in (lines[2], lines[3], lines[5])])
        self.assertEqual(self.lake.rows("id"), [(1,), (2,), (3,)])

    def test_a_global_state_waits_for_all_streams(self):
        streams = [stream("a"), stream("b")]
        whole = {"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"lsn": 1}, "stream_states": [{"stream_descriptor": {"name": "a"}, "stream_state": {}}]}}}
        lines = [record({"id": 1}, "a"), record({"id": 1}, "b"), json.dumps(whole), status(name="a"), status(name="b")]
        messages = self.lake.write(streams, lines)
        (found,) = [m["state"] for m in messages if m["type"] == "STATE"]
        self.assertEqual(found.pop("destinationStats"), {"recordCount": 2.0})
        self.assertEqual(found, whole["state"])

    def test_garbage_and_foreign_messages_are_passed_over(self):
        lines = ["hello", "[1]", "{}", '{"type":"LOG","log":{"level":"INFO","message":"x"}}', '{"type":"CONTROL","control":{}}', "", record({"id": 1}), '{"type":null}', state(1), status()]
        self.assertEqual(states(self.lake.write(stream(), lines)), [1])
        self.assertEqual(self.lake.rows("id"), [(1,)])

    def test_a_record_that_cannot_be_read_is_an_error(self):
        for broken in (record({"id": 1})[:-3], '{"type":"RECORD","record":{"stream":"s","data":[1],"emitted_at":1}}'):
            messages = self.lake.write(stream(), [broken, state(1), status()], expect=1)
            self.assertEqual(states(messages), [])
            self.assertTrue(errors(messages))

    def test_a_record_of_an_unknown_stream_is_an_error(self):
        messages = self.lake.write(stream(), [record({"id": 1}, "other"), state(1)], expect=1)
        (error,) = errors(messages)
        self.assertIn("other", error["message"])
        self.assertEqual(states(messages), [])

    def test_members_of_a_record_in_any_order(self):
        plain = record({"id": 1}).replace(" ", "")
        meta = '{"type":"RECORD","record":{"stream":"s","data":{"id":2},"meta":{"changes":[{"field":"x","change":"NULLED","reason":"Y"}]},"emitted_at":1769853600000}}'
        self.lake.write(stream(), [plain, meta, plain.replace('"id":1', '"id":3'), state(1), status()])
        self.assertEqual([(id, len(m["changes"])) for id, m in self.lake.rows("id", "_airbyte_meta")], [(1, 0), (2, 1), (3, 0)])

    def test_times_of_emission_in_any_unit(self):
        lines = [record({"id": n}, emitted_at=at) for n, at in enumerate((1769853600000, 1769853600, 1769853600000.75))]
        self.lake.write(stream(), [*lines, state(1), status()])
        at = datetime(2026, 1, 31, 10, tzinfo=timezone.utc)
        self.assertEqual(self.lake.rows("_airbyte_extracted_at"), [(at,)] * 3)

    def test_columns_about_the_record(self):
        lines = [record({"id": "x", "v": 1}, meta={"changes": [{"field": "q", "change": "TRUNCATED", "reason": "SOURCE_RETRIEVAL_ERROR"}]}), state(1), status()]
        self.lake.write(stream(generation_id=4, minimum_generation_id=0, sync_id=9), lines)
        ((raw_id, meta, generation, id, v),) = self.lake.rows("_airbyte_raw_id", "_airbyte_meta", "_airbyte_generation_id", "id", "v")
        self.assertEqual((len(raw_id), raw_id[14], generation, id, v), (36, "7", 4, None, "1"))
        changes = [
            {"field": "id", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"},
            {"field": "q", "change": "TRUNCATED", "reason": "SOURCE_RETRIEVAL_ERROR"},
        ]
        self.assertEqual(meta, {"sync_id": 9, "changes": changes})


class Overwrites(Case):
    """Rows that replace others."""

    def ids(self):
        return [row[0] for row in self.lake.rows("id")]

    def refresh(self, generation, ids, ended=True, mode="append", expect=0, **extra):
        configured = stream(mode=mode, sync_mode="full_refresh", generation_id=generation, minimum_generation_id=generation, sync_id=1, **extra)
        lines = [record({"id": id}) for id in ids] + [state(generation)] + ([status()] if ended else [])
        return self.lake.write(configured, lines, expect=expect)

    def test_a_refresh_takes_effect_when_it_is_complete(self):
        self.lake.write(stream(generation_id=1, minimum_generation_id=0), [record({"id": 1}), state(1), status()])
        messages = self.refresh(2, [2], ended=False, expect=1)
        self.assertEqual(states(messages), [2])
        self.assertEqual([e["failure_type"] for e in errors(messages)], ["transient_error"])
        self.assertEqual(self.ids(), [1])
        # The second attempt goes on.
        self.refresh(2, [3])
        self.assertEqual(self.ids(), [2, 3])
        # What comes later is of the same generation and comes beside it.
        self.lake.write(stream(generation_id=2, minimum_generation_id=0), [record({"id": 4}), state(4), status()])
        self.assertEqual(self.ids(), [2, 3, 4])
        # An attempt that broke off for good leaves nothing to a later generation.
        self.refresh(3, [5], ended=False, expect=1)
        self.refresh(4, [6])
        self.assertEqual(self.ids(), [6])

    def test_a_refresh_without_records_empties_the_table(self):
        for ids in ([1, 2], [], []):
            self.refresh(len(ids) + 3, ids) if ids else self.refresh(9, ids)
            self.assertEqual(self.ids(), ids)

    def test_a_stream_without_records_has_a_table(self):
        self.lake.write(stream(mode="overwrite"), [state(1)])
        self.assertEqual(self.ids(), [])

    def test_ids_that_never_change_replace_nothing_that_is_of_them(self):
        for ids in ([1], [2]):
            self.refresh(1, ids)
        self.assertEqual(self.ids(), [1, 2])
        for ids in ([1], [2]):
            self.refresh(1, ids, mode="overwrite")
            self.assertEqual(self.ids(), ids)

    def test_an_overwrite_without_ids_ends_with_the_input(self):
        for ids in ([1, 2], [3]):
            self.lake.write(stream(mode="overwrite", sync_mode="full_refresh"), [record({"id": id}) for id in ids] + [state(1)])
            self.assertEqual(self.ids(), ids)
        # The source died: the last line is a record.
        self.lake.write(stream(mode="overwrite", sync_mode="full_refresh"), [record({"id": 4}), state(1), record({"id": 5})])
        self.assertEqual(self.ids(), [3])
        self.lake.write(stream(mode="overwrite", sync_mode="full_refresh"), [record({"id": 6}), state(1), status("INCOMPLETE")], expect=1)
        self.assertEqual(self.ids(), [3])
        self.lake.config["overwrite_without_status"] = "always"
        self.lake.write(stream(mode="overwrite", sync_mode="full_refresh"), [record({"id": 7})])
        self.assertEqual(self.ids(), [7])
        self.lake.config["overwrite_without_status"] = "never"
        self.lake.write(stream(mode="overwrite", sync_mode="full_refresh"), [record({"id": 8}), state(1)])
        self.assertEqual(self.ids(), [7])

    def test_nobody_reads_the_answers_any_more(self):
        self.lake.write(stream(mode="overwrite"), [record({"id": 1}), state(1), status()])
        command = self.lake.command([stream(mode="overwrite")])
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.close()
        process.stdin.write((record({"id": 2}) + "\n" + state(2) + "\n").encode())
        process.stdin.close()
        self.assertNotEqual(process.wait(30), 0)
        self.assertEqual(self.ids(), [1])

    def test_a_refresh_that_deduplicates(self):
        dedup = dict(key=["id"], cursor="c")
        configured = stream(mode="append_dedup", generation_id=1, minimum_generation_id=0, **dedup)
        self.lake.write(configured, [record({"id": 1, "c": 9}), state(1), status()])
        self.refresh(2, [1, 1, 2], mode="append_dedup", **dedup)
        self.assertEqual(self.lake.rows("id", "c"), [(1, None), (2, None)])

    def test_catalogs_that_make_no_sense_are_refused(self):
        for wrong in (
            stream(mode="append_dedup"),
            stream(mode="append_dedup", key=["nothing"]),
            stream(mode="soft_delete"),
            stream(generation_id=3, minimum_generation_id=2),
        ):
            (error,) = errors(self.lake.write(wrong, [], expect=1))
            self.assertEqual(error["failure_type"], "config_error")
        (error,) = errors(self.lake.write([stream("a b"), stream("A-b")], [], expect=1))
        self.assertIn("a_b", error["message"])
        errors(self.lake.write([], [], expect=1))


class Deduplication(Case):
    """One row a key: the one with the greatest cursor."""

    def dedup(self, *rows, key=("id",), cursor="c", **extra):
        lines = [record(row) for row in rows]
        self.lake.write(stream(mode="append_dedup", key=list(key), cursor=cursor, **extra), [*lines, state(len(rows)), status()])

    def test_the_greatest_cursor_stays_whatever_the_order(self):
        self.dedup({"id": 1, "v": "b", "c": 2}, {"id": 1, "v": "a", "c": 1}, {"id": 2, "v": "x", "c": 1}, {"id": 2, "v": "y", "c": 1}, {"id": 3, "v": "n"})
        self.assertEqual(self.lake.rows("id", "v"), [(1, "b"), (2, "y"), (3, "n")])
        self.dedup({"id": 1, "v": "old", "c": 1}, {"id": 2, "v": "z", "c": 5}, {"id": 3, "v": "m", "c": 0})
        self.assertEqual(self.lake.rows("id", "v"), [(1, "b"), (2, "z"), (3, "m")])
        self.dedup({"id": 2, "v": "zz", "c": 5}, {"id": 4, "v": "new", "c": 1})
        self.assertEqual(self.lake.rows("id", "v"), [(1, "b"), (2, "zz"), (3, "m"), (4, "new")])

    def test_without_a_cursor_the_last_row_stays(self):
        self.dedup({"id": 1, "v": "a", "c": 9}, {"id": 1, "v": "b", "c": 1}, cursor=None)
        self.dedup({"id": 1, "v": "c", "c": 0}, cursor=None)
        self.assertEqual(self.lake.rows("id", "v"), [(1, "c")])

    def test_keys_of_several_parts_and_inside_objects_and_without_values(self):
        properties = {"a": {"type": ["null", "string"]}, "o": {"type": "object"}, "n": {"type": "integer"}}
        key = ("a", ["o", "id"])
        rows = [{"a": "x", "o": {"id": 1}}, {"a": "x", "o": {"id": 2}}, {"a": None, "o": {"id": 1}}, {"o": {}}]
        for n in (1, 2):
            self.dedup(*({**row, "n": n} for row in rows), key=key, cursor="n", properties=properties)
        self.assertEqual(self.lake.rows("n"), [(2,)] * 4)

    def test_deleted_rows_go_away(self):
        properties = {"id": {"type": "integer"}, "c": {"type": "integer"}, "_ab_cdc_deleted_at": {"type": ["null", "string"]}}
        self.dedup({"id": 1, "c": 1}, {"id": 2, "c": 1}, {"id": 3, "c": 1}, properties=properties)
        gone = {"_ab_cdc_deleted_at": "2026-01-01"}
        self.dedup({"id": 1, "c": 2, **gone}, {"id": 2, "c": 0, **gone}, {"id": 3, "c": 2, **gone}, {"id": 3, "c": 3}, {"id": 4, "c": 1, **gone}, properties=properties)
        self.assertEqual(self.lake.rows("id", "c"), [(2, 1), (3, 3)])
        self.lake.config["deletions"] = "soft"
        self.dedup({"id": 2, "c": 9, **gone}, properties=properties)
        self.assertEqual(self.lake.rows("id", "c"), [(2, 9), (3, 3)])

    def test_a_key_that_becomes_text_is_still_the_same_key(self):
        self.dedup({"id": 1, "v": "a", "c": 1}, {"id": 2, "v": "b", "c": 1})
        text = {"id": {"type": "string"}, "v": {"type": "string"}, "c": {"type": "integer"}}
        self.dedup({"id": "1", "v": "new", "c": 2}, {"id": "x", "v": "c", "c": 1}, properties=text)
        self.assertEqual(self.lake.rows("id", "id__long", "v"), [("1", None, "new"), ("x", None, "c"), (None, 2, "b")])

    def test_files_of_which_nothing_is_left_go_away(self):
        for n in range(4):
            self.dedup({"id": 1, "c": n}, {"id": 2, "c": n})
        files = self.lake.duck.execute(f"SELECT content, status FROM iceberg_metadata('{self.lake.table()}')").fetchall()
        self.assertEqual(sum(content == "DATA" or content == "EXISTING" for content, state in files if state != "DELETED"), 1, files)
        self.assertEqual(self.lake.rows("id", "c"), [(1, 3), (2, 3)])


class DeduplicationByVectors(Deduplication):
    """The same with deletion vectors."""

    config = {"format_version": 3}


class Commands(Case):
    """What is not `write`."""

    def run_command(self, *arguments, config=None):
        path = self.lake.folder / "config.json"
        path.write_text(json.dumps(self.lake.config if config is None else config))
        done = subprocess.run([BINARY, *arguments, "--config", path], capture_output=True, text=True)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def test_check_leaves_nothing_behind(self):
        code, messages = self.run_command("check")
        self.assertEqual((code, messages[-1]["connectionStatus"]), (0, {"status": "SUCCEEDED"}))
        self.assertEqual([path for path in (self.lake.folder / "lake").rglob("*") if path.is_file()], [])

    def test_check_tells_what_is_wrong(self):
        blocked = self.lake.folder / "file"
        blocked.write_text("")
        for config, part in (
            ({"warehouse": {"type": "local", "path": str(blocked / "lake")}}, "cannot be made"),
            ({"warehouse": {"type": "local"}}, "path"),
            ({"warehouse": {"type": "local", "path": "/x"}, "format_version": 9}, "format_version"),
            ({}, "warehouse"),
        ):
            code, messages = self.run_command("check", config=config)
            answer = messages[-1]["connectionStatus"]
            self.assertEqual((code, answer["status"]), (0, "FAILED"))
            self.assertIn(part, answer["message"])


class Maintenance(Commands):
    """compact, expire and sweep: the rows stay what they are."""

    def files(self):
        return [path for path in (self.lake.folder / "lake").rglob("*") if path.is_file()]

    def test_rows_stay_and_files_go(self):
        for mode, config in (("append", {}), ("append_dedup", {}), ("append_dedup", {"partitioning": {"s": ["bucket(3, id)"]}})):
            with Lake.fresh(**config) as lake:
                self.lake = lake
                properties = {"id": {"type": "integer"}, "v": {"type": "string"}, "c": {"type": "integer"}}
                for n in range(14):
                    kinds = properties if n < 7 else properties | {"v": {"type": "integer"}}
                    lines = [record({"id": id, "v": str(id), "c": n}) for id in range(n, 60)]
                    lake.write(stream(properties=kinds, mode=mode, key=["id"], cursor="c"), [*lines, state(n), status()])
                columns = ("id", "v", "v__string", "c", "_airbyte_raw_id", "_airbyte_meta", "_airbyte_extracted_at")
                before = lake.rows(*columns)
                code, messages = self.run_command("compact")
                self.assertEqual(code, 0, messages)
                self.assertIn("files became", json.dumps(messages))
                self.assertEqual(lake.rows(*columns), before)
                self.assertEqual(lake.sql("SELECT count(*) FROM t"), [(len(before),)])
                # What follows goes on from the compacted files.
                lake.write(stream(properties=kinds, mode="append_dedup", key=["id"], cursor="c"), [record({"id": 59, "v": "1", "c": 99}), state(99), status()])
                before = lake.rows(*columns)
                count = len(self.files())
                lake.config |= {"expire_after_days": 0, "sweep_after_days": 0}
                code, messages = self.run_command("expire")
                self.assertEqual(code, 0, messages)
                self.assertEqual(lake.rows(*columns), before)
                self.assertLess(len(self.files()), count)
                (self.lake.folder / "lake/default/s/data/lost.parquet").write_text("x")
                code, messages = self.run_command("sweep")
                self.assertEqual(code, 0, messages)
                self.assertEqual(lake.rows(*columns), before)
                self.assertFalse((self.lake.folder / "lake/default/s/data/lost.parquet").exists())
                left = len(self.files())
                self.run_command("sweep")
                self.assertEqual(len(self.files()), left)


class Values(Case):
    """What becomes of values."""

    def test_types_and_values_that_do_not_fit(self):
        properties = {
            "b": {"type": "boolean"},
            "i": {"type": ["null", "integer"]},
            "n": {"type": "number"},
            "s": {"type": "string"},
            "d": {"type": "string", "format": "date"},
            "t": {"type": "string", "format": "date-time"},
            "l": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
            "h": {"type": "string", "format": "time"},
            "o": {"type": "object"},
            "a": {"type": "array"},
            "u": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        }
        good = {"b": True, "i": 9007199254740993, "n": 1.5, "s": "ü\n", "d": "2026-01-31", "t": "2026-01-31T10:00:00+02:00", "l": "2026-01-31T10:00:00", "h": "10:00:00.5", "o": {"k": [1, 1.50]}, "a": [1], "u": "x"}
        odd = {"b": "true", "i": "12", "n": "2.5", "s": {"a": 1}, "d": "2026/01/31", "t": "2026-01-31 10:00:00", "l": 5, "h": 5, "o": [1], "a": {}, "u": 1, "unknown": 1}
        wrong = {"b": 1, "i": 1.5, "n": "x", "s": 1.10, "d": "soon", "t": True, "l": "", "h": "25:00", "o": "x", "a": "x", "u": None}
        large = {"i": 12345678901234567890, "n": 10**400, "s": None}
        huge = json.dumps(record(large)).replace(str(10**400), "1e999")
        huge = json.loads(huge)
        self.lake.write(stream(properties=properties), [record(good), record(odd), record(wrong), huge, record({}), state(1), status()])
        rows = self.lake.sql("SELECT b, i, n, s, d, t, l, h, o, a, u, _airbyte_meta FROM t ORDER BY _airbyte_raw_id")
        self.lake.rows(*properties)
        moment = datetime(2026, 1, 31, 10, tzinfo=timezone.utc)
        self.assertEqual(rows[0][:5], (True, 9007199254740993, 1.5, "ü\n", date(2026, 1, 31)))
        self.assertEqual(rows[0][5].hour, 8)
        self.assertEqual(rows[0][6:8], (datetime(2026, 1, 31, 10), datetime(2026, 1, 31, 10, 0, 0, 500000).time()))
        self.assertEqual(rows[0][8:11], ('{"k": [1, 1.5]}', "[1]", '"x"'))
        self.assertEqual(rows[1][:6], (None, 12, 2.5, '{"a":1}', date(2026, 1, 31), moment))
        self.assertEqual(rows[1][6:11], (None, None, None, None, "1"))
        fields = [change["field"] for change in rows[1][11]["changes"]]
        self.assertEqual(sorted(fields), ["a", "b", "h", "l", "o"])
        self.assertEqual(rows[2][:11], (None, None, None, "1.1", None, None, None, None, None, None, None))
        self.assertEqual(len(rows[2][11]["changes"]), 9)
        self.assertEqual(rows[3][:4], (None, None, None, None))
        self.assertEqual({change["reason"] for change in rows[3][11]["changes"]}, {"DESTINATION_FIELD_SIZE_LIMITATION"})
        self.assertEqual(rows[4][:11], (None,) * 11)
        self.assertEqual(rows[4][11]["changes"], [])

    def test_exact_numbers_on_request(self):
        self.lake.config["number_type"] = "decimal"
        properties = {"n": {"type": "number"}}
        lines = ['{"type":"RECORD","record":{"stream":"s","data":{"n":%s},"emitted_at":1}}' % n for n in ("0.1", "12345678901234567890.123456789", '"7"', "1e40", "null")]
        self.lake.write(stream(properties=properties), [*lines, state(1), status()])
        found = [str(n) for (n,) in self.lake.rows("n")]
        self.assertEqual(sorted(found), ["0.100000000", "12345678901234567890.123456789", "7.000000000", "None", "None"])

    def test_names(self):
        properties = {name: {"type": "string"} for name in ("Created At", "created_at", "id", "ID", "größe", "_airbyte_raw_id", "a.b")}
        data = {name: name for name in properties}
        for _ in range(2):
            self.lake.write(stream("My Stream", properties, namespace="Some Where"), [record(data, "My Stream", namespace="Some Where"), json.dumps({"type": "STATE", "state": {"type": "LEGACY", "data": {}}}), ])
        table = self.lake.arrow("my_stream", "some_where")
        values = {name: table.column(name)[0].as_py() for name in table.column_names if not name.startswith("_airbyte_") or "raw_id_" in name}
        self.assertEqual(sorted(values.values()), sorted(properties))
        self.assertEqual(values["created_at"], "Created At")
        self.assertEqual(len({name.lower() for name in table.column_names}), len(table.column_names))

    def test_partitions(self):
        self.lake.config["partitioning"] = {"s": ["bucket(4, id)", "day(_airbyte_extracted_at)", "v"]}
        configured = stream(mode="append_dedup", key=["id"], cursor="c")
        for n in range(3):
            lines = [record({"id": id, "v": f"../{id % 3}", "c": n}) for id in range(50)]
            self.lake.write(configured, [*lines, state(n), status()])
        self.assertEqual(self.lake.rows("c"), [(2,)] * 50)
        self.assertEqual(self.lake.sql("SELECT count(*) FROM t WHERE id = 7"), [(1,)])
        self.lake.config["partitioning"] = {"w": ["month(v)"]}
        (error,) = errors(self.lake.write(stream("w"), [], expect=1))
        self.assertIn("month(v)", error["message"])


class Schemas(Case):
    """Tables that follow their streams."""

    KINDS = {
        "boolean": ({"type": "boolean"}, True),
        "long": ({"type": "integer"}, 42),
        "double": ({"type": "number"}, 1.5),
        "string": ({"type": "string"}, "text"),
        "date": ({"type": "string", "format": "date"}, "2026-01-31"),
        "timestamptz": ({"type": "string", "format": "date-time"}, "2026-01-31T10:00:00Z"),
        "timestamp": ({"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}, "2026-01-31T10:00:00"),
        "time": ({"type": "string", "format": "time"}, "10:00:00"),
        "object": ({"type": "object"}, {"a": 1}),
        "array": ({"type": "array"}, [1]),
    }

    def one(self, name, kind, id):
        schema, value = self.KINDS[kind]
        properties = {"id": {"type": "integer"}, "x": schema}
        self.lake.write(stream(name, properties), [record({"id": id, "x": value}, name), state(id, name), status(name=name)])

    def test_every_change_of_type_keeps_the_old_values_and_takes_the_new(self):
        text = ("string", "object", "array")
        for old in self.KINDS:
            for new in self.KINDS:
                if old == new:
                    continue
                with self.subTest(old=old, new=new):
                    name = f"{old}_{new}"
                    self.one(name, old, 1)
                    before = self.lake.rows("x", name=name)
                    self.one(name, new, 2)
                    columns = set(self.lake.arrow(name).column_names)
                    if old in text and new in text:
                        self.assertNotIn("x__string", columns)
                        continue
                    aside = "x__" + ("string" if old in text else old)
                    self.assertIn(aside, columns)
                    rows = self.lake.rows("id", "x", aside, name=name)
                    self.assertEqual((rows[0][1], [(rows[0][2],)]), (None, before))
                    self.assertTrue(rows[1][1] is not None and rows[1][2] is None, rows)
                    # And back: the old column is the column again.
                    self.one(name, old, 3)
                    rows = self.lake.rows("id", "x", name=name)
                    self.assertEqual([row[1] for row in rows], [before[0][0], None, before[0][0]])

    def test_columns_come_and_go(self):
        whole = {"id": {"type": "integer"}, "a": {"type": "string"}}
        self.lake.write(stream(properties=whole), [record({"id": 1, "a": "x"}), state(1), status()])
        self.lake.write(stream(properties={"id": {"type": "integer"}, "b": {"type": "string"}}), [record({"id": 2, "a": "y", "b": "z"}), state(2), status()])
        self.assertEqual(self.lake.rows("id", "a", "b"), [(1, "x", None), (2, None, "z")])
        self.lake.write(stream(properties=whole), [record({"id": 3, "a": "w"}), state(3), status()])
        self.assertEqual(self.lake.rows("id", "a", "b"), [(1, "x", None), (2, None, "z"), (3, "w", None)])


if __name__ == "__main__":
    unittest.main()
