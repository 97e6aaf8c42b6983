//! S, C, D: the commands spec, check and discover.

use super::rules;

rules! { SPEC;
    S01 Error "spec prints exactly one SPEC and exits 0, without any configuration"
        why "Registering the connector fails on every runner otherwise."
        fix "Print one SPEC message; read no file and no environment for it.";
    S02 Error "connectionSpecification is a valid draft 7 schema of an object with properties"
        why "The platform's form and every validator of the configuration are built from it."
        fix "Give it type object and properties, and check it with a JSON schema validator.";
    S03 Error "the given configuration is valid against the spec"
        why "The platform and PyAirbyte refuse to start a connector whose configuration its own spec refuses."
        fix "Correct the configuration, or the schema when the configuration is right.";
    S04 Error "properties that hold secrets are marked airbyte_secret, and only what can hold one"
        why "What is not marked is stored and shown in plain text."
        fix "Set airbyte_secret: true on the property, or airbyte_secret: false where the name misleads.";
    S05 Error "each oneOf is an object whose variants share one const property"
        why "The form cannot tell the variants apart otherwise, and shows the wrong one for a saved configuration."
        fix "Give the parent type object, each variant a title and properties, and one property with a different const in each.";
    S06 Error "the schema keeps to what the form can show"
        why "The platform's form fails on, or ignores, what it does not know: $ref, allOf, not, if, tuple items, unions of types, objects without properties."
        fix "Write the schema out in plain objects, oneOf, arrays of one item type and scalars.";
    S07 Error "order, group, display_type and enum are used as the form expects"
        why "Fields are shown in a random order or not at all."
        fix "Make order unique within an object and group, use group on top-level properties only, display_type beside oneOf only, and distinct enum values.";
    S08 Error "additionalProperties is never anything but true"
        why "A configuration saved by a newer or older version would be refused."
        fix "Remove additionalProperties, or set it to true.";
    S09 Error "the paths of advanced_auth exist, and OAuth is the first choice"
        why "The OAuth button writes tokens to places the connector does not read."
        fix "Name existing properties in predicate_key and path_in_connector_config, and put the OAuth variant first.";
    S10 Error "spec prints the same twice"
        why "The platform compares specs to find breaking changes."
        fix "Leave out times, random values and the order of hash maps.";
    S11 Warning "the spec is documented: titles, descriptions, documentationUrl, protocol_version, date patterns"
        why "It is all that the person filling in the form has."
        fix "Add what is named.";
    S12 Error "the spec equals the expected one"
        why "It is the contract with saved configurations, so a change has to be a decision."
        fix "Restore the spec, or update the file of spec_path together with the change.";
    S13 Warning "defaults and examples are valid values"
        why "The form fills the default in and then refuses it."
        fix "Make them valid against the schema of their own property.";
    S14 Error "a destination names the sync modes it supports"
        why "The platform offers no sync mode for it otherwise."
        fix "Set supported_destination_sync_modes.";
    S15 Error "protocol_version is one that the platform takes"
        why "The platform compares the major number with its own and refuses to register the connector."
        fix "Set it to the version of the protocol's models, such as 0.18.0, or leave it out.";
}

rules! { CHECK;
    C01 Error "check of a good configuration says SUCCEEDED once and exits 0"
        why "No runner starts a sync before that."
        fix "Print exactly one CONNECTION_STATUS with status SUCCEEDED.";
    C02 Error "check refuses a configuration that its spec refuses"
        why "The user learns of the mistake at the first sync instead, or never."
        fix "Validate the configuration against the spec before anything else; answer FAILED, or an error trace and exit code 1.";
    C03 Error "check refuses wrong credentials"
        why "Check is what people trust; a connection that cannot read anything is set up as if it worked."
        fix "Make the cheapest real call that needs the credentials.";
    C04 Error "check tolerates a property that the spec does not know"
        why "Saved configurations keep properties of other versions, and the platform adds its own."
        fix "Ignore unknown properties.";
    C05 Error "check ends as the configuration file of the suite says"
        why "It is what the connector's author promised for that configuration."
        fix "Correct the connector, or `status` of that entry.";
    C06 Error "a FAILED check says why"
        why "It is the only text the user gets, and Meltano's wrapper fails without it."
        fix "Set message to a sentence that says what to do.";
}

rules! { DISCOVER;
    D01 Error "discover prints exactly one CATALOG with streams and exits 0"
        why "There is nothing to sync otherwise."
        fix "Print one CATALOG message.";
    D02 Error "streams are unique by namespace and name"
        why "Runners keep catalogs and states by that key; the second stream replaces the first."
        fix "Rename one of them, or give it a namespace.";
    D03 Error "each json_schema is a valid draft 7 schema of an object with properties, without $ref, allOf and not"
        why "The platform throws on a stream without properties, and destinations make columns of them."
        fix "Write the schema out in full.";
    D04 Error "sync modes are there and fit the cursor"
        why "The platform offers only what stands there, and an incremental stream without a cursor cannot be set up."
        fix "List full_refresh first, and incremental only with a source-defined or default cursor, or one that users can choose.";
    D05 Error "cursor and primary key are scalar properties of the schema"
        why "Destinations deduplicate by these columns."
        fix "Add the property to the schema, or correct the path.";
    D06 Warning "types, formats and airbyte_type are those that destinations know"
        why "Anything else becomes a column of JSON text, or fails."
        fix "Use the combinations of the table of data types.";
    D07 Error "additionalProperties is never anything but true"
        why "A new field of the API would make every record invalid."
        fix "Remove additionalProperties, or set it to true.";
    D08 Error "discover prints the same twice"
        why "Each difference is a schema change that users have to approve."
        fix "Sort what comes from hash maps and parallel calls.";
    D09 Error "discover of a broken configuration is an error trace and a non-zero exit"
        why "An empty or partial catalog removes the user's streams."
        fix "Fail before printing a catalog.";
    D10 Warning "no two fields of a stream differ in case alone"
        why "Many destinations fold case and get two columns of one name."
        fix "Rename one of them if the API allows.";
}
