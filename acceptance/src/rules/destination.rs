//! W: destinations.

use super::rules;

rules! { DESTINATION;
    W01 Error "every state comes back in order, unchanged but for destinationStats, only after its records are durable"
        why "A state that comes back too early loses its records in the next crash; one that never comes back makes every sync start over."
        fix "Print the state's own text with destinationStats added, after the commit of everything before it.";
    W02 Error "recordCount and rejectedRecordCount of a state add up to what was sent"
        why "The platform compares them to find lost records."
        fix "Count what was written and what was rejected since the state before.";
    W03 Error "without status lines and ids, the end of the input is the end of the sync"
        why "Custom destinations and many runners never get a COMPLETE."
        fix "Finish at the end of stdin when generation_id is null.";
    W04 Error "in a truncate refresh, old rows stay until COMPLETE, and also when the input ends without it"
        why "A source that failed half-way would replace a full table by half of one."
        fix "Write aside and swap only after COMPLETE; without it keep the old rows, and exit 1 with a transient error.";
    W05 Error "a second attempt of the same generation goes on with what the first one wrote"
        why "Attempts of a large refresh would each start over."
        fix "Keep staged rows of the generation that is asked for.";
    W06 Error "append_dedup keeps the row with the latest cursor, whatever came in which order, and replays change nothing"
        why "Delivery is at least once and not ordered across retries."
        fix "Compare cursors, then times of extraction, also with stored rows.";
    W07 Error "a value that does not fit its type becomes null with a change noted, and the sync goes on"
        why "One bad value must not stop a table."
        fix "Null it and add an entry to _airbyte_meta.changes.";
    W08 Error "lines that are no records or states are ignored"
        why "Runners pipe logs, statuses and text of the source through."
        fix "Skip them; log what is no JSON.";
    W09 Error "a record of an unknown stream is an error"
        why "Dropping it is silent loss."
        fix "Print an error trace and exit 1.";
    W10 Error "overwrite without records leaves an empty table"
        why "A table that is missing breaks its readers, and one that keeps its rows is wrong."
        fix "Create or empty the table at the end of the sync.";
    W11 Error "STREAM and GLOBAL states both come back, GLOBAL only when all streams are durable"
        why "Databases with a shared log position use GLOBAL."
        fix "Commit all streams before printing a GLOBAL state.";
    W12 Error "emitted_at in seconds or with decimals is accepted"
        why "PyAirbyte writes seconds."
        fix "Accept any number, and take small ones for seconds.";
    W13 Error "the columns _airbyte_raw_id, _airbyte_extracted_at, _airbyte_meta and _airbyte_generation_id are there and right"
        why "Users and transformations rely on them."
        fix "Fill them for every row.";
    W14 Error "it exits soon after closing stdout, and keeps stdout open until all is done"
        why "The platform waits a minute for the exit code after that."
        fix "Close stdout last.";
    W15 Error "a cancelled sync commits no overwrite and is no success"
        why "The platform cancels by closing stdin and stdout, which looks like a normal end."
        fix "Make sure that stdout is alive before the swap.";
    W16 Error "an overwrite whose source died in the middle keeps the old rows"
        why "Without status lines a dead source and a finished one look alike, but for the last state."
        fix "Swap only when the last line of the stream was a state.";
    W17 Error "rows of every type and name arrive whole"
        why "Names and values of every kind occur in real data, and what is lost on the way is lost for good."
        fix "Try the type or the name of the finding by hand; escape and quote instead of dropping.";
}
