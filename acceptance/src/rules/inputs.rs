//! B: inputs that are broken or unusual.

use super::rules;

rules! { INPUTS;
    B01 Error "a configuration that is missing or no JSON object is an error, not a success"
        why "The runner takes silence and exit code 0 for a sync without data."
        fix "Print an error trace of type config_error and exit 1.";
    B02 Error "a catalog that is missing, no JSON or without streams is an error"
        why "Nothing is read and the sync counts as a success."
        fix "Print an error trace of type config_error and exit 1.";
    B03 Error "an unknown sync mode is an error"
        why "Guessing reads the wrong data; the platform's tests demand an error trace."
        fix "Print an error trace that names the stream and the value, and exit 1.";
    B04 Warning "a configured stream that does not exist is reported and fails the read"
        why "With exit code 0 the platform tells the destination that the stream is complete, and a full refresh empties its table. Airbyte's own kit does exit with 0, so this is a warning."
        fix "Print an error trace that names the stream, read the others, and exit 1.";
    B05 Error "a state file that is broken is an error"
        why "Starting over silently re-reads years; going on from nothing loses data."
        fix "Print an error trace of type config_error and exit 1.";
    B06 Warning "errors of inputs are config_error"
        why "The platform retries everything else, for hours."
        fix "Set failure_type to config_error when the user has to change something.";
    B07 Error "misuse of the command line is not a success"
        why "A typing error in a script would look like an empty sync."
        fix "Exit with 2 and a usage text.";
    B08 Error "read and discover refuse a configuration that the spec refuses"
        why "Wrong data is read for a long time before somebody notices."
        fix "Validate the configuration in every command.";
    B09 Error "catalogs with nulls, unknown fields, fewer fields and no ids are read"
        why "Every runner writes the catalog a little differently, and saved ones are older than the connector."
        fix "Treat null as absent, ignore unknown fields, default what is optional.";
}
