//! A: image, metadata and documentation.

use super::rules;

rules! { ATTRIBUTES;
    A01 Error "streams define a primary key"
        why "Users cannot deduplicate without one."
        fix "Set source_defined_primary_key, or name the stream under streams_without_primary_key.";
    A02 Error "metadata.yaml names the allowed hosts"
        why "The platform restricts certified connectors to them."
        fix "Set data.allowedHosts.hosts.";
    A03 Error "metadata.yaml suggests streams"
        why "They are preselected for new users."
        fix "Set data.suggestedStreams.streams.";
    A04 Error "the image's labels are those of metadata.yaml"
        why "Registries and the platform identify the image by them."
        fix "Set io.airbyte.name to dockerRepository and io.airbyte.version to dockerImageTag.";
    A05 Error "AIRBYTE_ENTRYPOINT equals the image's entrypoint"
        why "The platform starts the connector by the variable, others by the entrypoint."
        fix "Set both to the same command.";
    A06 Error "the documentation has the sections of the template, in order"
        why "Users look for prerequisites, setup and limits in the same place everywhere."
        fix "Add the headings in the order of the template.";
    A07 Error "the prerequisites name the required settings"
        why "They are what people need before they begin."
        fix "Name the titles of all required properties there.";
    A08 Error "links of the documentation lead somewhere"
        why "Dead links send people in circles."
        fix "Correct or remove the link.";
    A09 Warning "streams read by partitions of a parent are declared as interleaved"
        why "The platform plans such streams by the list in metadata.yaml."
        fix "Name them in interleavedStreams.";
    A10 Error "certified file sources read all file types"
        why "Users expect each type that the documentation names."
        fix "Add test data of the type, or name it under unsupported_types.";
    A11 Error "the configuration file has what test_strictness_level: high demands"
        why "Airbyte demands it of certified connectors: whatever is left out of the tests has a reason that others can read."
        fix "Add what is missing, or a bypass_reason in its place; or set test_strictness_level: low.";
}
