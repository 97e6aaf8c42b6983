//! R: one read.

use super::rules;

rules! { READ;
    R01 Error "every stream that is not declared empty has records"
        why "A stream that silently yields nothing looks like a stream without data."
        fix "Find out why; name the stream under empty_streams when it has none.";
    R02 Error "records, states and statuses are of configured streams, with their namespaces"
        why "The platform fails the sync at a record of an unknown stream, PyAirbyte ends the read."
        fix "Emit only what the configured catalog names, exactly as it names it.";
    R03 Error "records are valid against the schema of their stream"
        why "Destinations null what does not fit its column, or fail."
        fix "Correct the schema: it has to admit whatever the API sends.";
    R04 Warning "every field of the records is declared"
        why "The platform and PyAirbyte drop undeclared fields without a word."
        fix "Add the field to the schema.";
    R05 Error "the primary key is in every record, as scalars that are not all null"
        why "Deduplicating destinations fail the sync or merge unrelated rows."
        fix "Choose another key, or fill it.";
    R06 Warning "primary keys are unique in a full refresh"
        why "Appended tables get the rows twice. Delivery is at least once, so runners accept it, but it is mostly a fault of pagination."
        fix "Look for pages or slices that overlap.";
    R07 Error "each stream goes STARTED, RUNNING, records, COMPLETE, and then nothing more"
        why "The platform takes progress, completeness and the moment to swap tables from it."
        fix "Print STARTED once, RUNNING before the first record, one terminal status after the last record and state.";
    R08 Error "each stream ends with a state that covers all its records"
        why "Records after the last state come again in every sync, and destinations that swap tables at the last state take the stream for incomplete."
        fix "Print a state after the last record of each stream, before COMPLETE, in full refreshes too.";
    R09 Error "states are STREAM or GLOBAL, with content, and never mixed"
        why "The platform rejects LEGACY states and mixed ones; PyAirbyte stores only STREAM."
        fix "Print STREAM states with an object in stream_state.";
    R10 Error "recordCount counts the records since the state before"
        why "It is the only means by which the platform can notice that records got lost."
        fix "Count per stream and reset after each state.";
    R11 Error "reading twice gives the same records"
        why "A read that depends on chance has lost something once."
        fix "Look for unstable sorting under pagination, shared mutable data and ignored errors.";
    R12 Note "declared fields occur in the data"
        why "A field that never occurs may be misspelt in the schema."
        fix "Nothing, if the data happens to lack it.";
    R13 Error "the expected records are there"
        why "They are what the connector's author has verified by hand."
        fix "Find out which side changed.";
    R14 Error "every declared field occurs in some record"
        why "It was asked for by validate_data_points."
        fix "Add data that has the field, or remove it from the schema.";
    R15 Error "no record is empty"
        why "The platform drops a record whose data is {} silently."
        fix "Leave such records out, and find out where they come from.";
}
