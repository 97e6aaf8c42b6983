//! O: what holds for the output of every run.

use super::rules;

rules! { OUTPUT;
    O01 Error "every line of stdout is one message of the protocol"
        why "Strict readers (faros airbyte-local-cli) abort the sync at the first other line; the platform drops a damaged record line with no more than a warning, which is data loss."
        fix "Print messages only, each by one write of a whole line; send everything for humans out as LOG messages.";
    O02 Error "the payload fits the type of its message"
        why "The platform drops a message that lacks a required field or has an unknown enum value; PyAirbyte's models refuse it."
        fix "Set exactly the payload that `type` names, with its required fields and the enum values of the protocol.";
    O03 Error "lines are UTF-8 JSON without byte order mark, NaN, repeated keys or trailing text, ended by a newline"
        why "A second object on a line is ignored by the platform, a repeated key means different things to different parsers, and an unfinished last line is lost."
        fix "Serialize with a JSON library, write the newline with the object, and flush before the end.";
    O04 Error "the exit code tells the truth and nothing crashes"
        why "The exit code alone decides whether the platform and PyAirbyte take a sync for a success; a crash without an error trace leaves the user with an exit code to read."
        fix "Exit 0 only when the command did what it should, else 1 after an error trace; turn panics and exceptions into error traces.";
    O05 Error "no secret of the configuration shows up in the output"
        why "Logs are kept, shipped and shown to people who must not have the credentials."
        fix "Mask every value of an airbyte_secret field in everything but CONTROL messages, in its encoded forms too.";
    O06 Error "emitted_at is the time of the message, in milliseconds"
        why "Destinations store it as the time of extraction and break ties of duplicates by it; PyAirbyte refuses a record whose emitted_at is no integer."
        fix "Write the current time as integer milliseconds since the epoch.";
    O07 Error "runs stay within the limits of time and memory"
        why "Platforms kill what exceeds its memory and stop check and discover after some minutes; people wait for spec."
        fix "Stream instead of collecting, and do nothing at start-up that the command does not need; or give other limits under `limits`.";
    O08 Error "an error trace says what happened and whose fault it is"
        why "The message is what the user sees, and failure_type decides whether the platform retries."
        fix "Set message (a sentence for the user) and failure_type (config_error, transient_error or system_error) in every error trace.";
    O09 Warning "messages have no members beside type and payload"
        why "Readers ignore them today and may give them a meaning tomorrow."
        fix "Leave them out; put what matters into the payload.";
    O10 Warning "stderr stays empty"
        why "The platform shows every line of stderr as an error of the job, and Meltano's wrapper leaves the pipe undrained, so that much of it blocks the connector for ever."
        fix "Send LOG messages to stdout instead.";
    O11 Error "a CONTROL message holds the whole configuration, valid against the spec"
        why "The platform replaces the stored configuration by it; what is left out is gone, and the next sync fails."
        fix "Put every property of the configuration into the message, with the new values in place.";
    O12 Warning "--debug and LOG_LEVEL=debug leave stdout clean"
        why "People turn debugging on when something is wrong, and a strict reader then fails for another reason."
        fix "Send debug output as LOG messages of level DEBUG.";
}
