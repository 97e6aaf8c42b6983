//! I: states and what is read from them.

use super::rules;

rules! { INCREMENTAL;
    I01 Error "a state comes at the end of every stream, also with nothing new"
        why "The platform waits for it, and a destination cannot close the stream."
        fix "Print the incoming state again when nothing was read.";
    I02 Error "the cursor in the state is the greatest of the records before it"
        why "A state ahead of its records skips rows; one behind them re-reads."
        fix "Advance the state's cursor with the records that were printed, no further.";
    I03 Error "the cursor in the state never goes back"
        why "The next sync reads again what was read, or oscillates for ever."
        fix "Keep the greatest cursor, also when nothing came or data is unordered.";
    I04 Error "a read from the final state brings only what is new"
        why "Otherwise every sync is a full refresh that is billed as incremental."
        fix "Read the state: filter by its cursor.";
    I05 Error "a read from any checkpoint brings everything that was not read before it"
        why "Rows are lost for ever each time a sync is interrupted."
        fix "Never let a state cover records that come after it.";
    I06 Error "a killed read, resumed from its last state, loses nothing"
        why "Processes are killed every day, for memory, upgrades and time."
        fix "Print each state after the records that it covers, and flush in that order.";
    I07 Error "an empty state file means no state"
        why "PyAirbyte gives [] and airbyte-serverless {} at the first sync."
        fix "Treat [], {}, null and an empty file like an absent --state.";
    I08 Warning "a state in the far future brings no records, and a state of the same form"
        why "It shows that the cursor is compared at all, and that the format survives."
        fix "Compare the cursor, and write it back in the form it came in.";
    I09 Error "every shape of state file that runners write is understood"
        why "PyAirbyte writes nulls, the unknown key global_ and that key twice; others write other shapes. A state that is not understood is a failed sync or a re-read from the beginning."
        fix "Treat null as absent, ignore unknown keys, and accept repeated ones.";
    I10 Error "incremental asked of a stream that only knows full refresh is a full refresh"
        why "PyAirbyte asks for incremental on every stream."
        fix "Read the stream in full and print the state of a full refresh.";
    I11 Error "a resumable full refresh goes on at its state and ends when it is complete"
        why "The platform hands the states of a broken-off attempt to the next one."
        fix "Honour the state of a full refresh that has one, and read nothing when it says complete.";
    I12 Warning "states differ when records lie between them"
        why "The platform tells states apart by their content."
        fix "Put something into the state that moves with the records.";
    I13 Error "states of other streams are ignored"
        why "Runners hand on states of streams that are no longer selected."
        fix "Look up the states of configured streams only.";
}
